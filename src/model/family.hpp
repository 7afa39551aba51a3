// Family: how a model family is recognised and built. One constant record in each file of
// families/.
#pragma once
#include <array>
#include <memory>
#include <span>
#include <string_view>

#include "checkpoint/checkpoint.hpp"
#include "model/loader.hpp"
#include "model/model.hpp"

namespace rbee {

struct Family {
  std::string_view id;
  std::array<std::string_view, 12> hf{};   // names in config.json: architectures[0], or model_type
  std::array<std::string_view, 4> gguf{};  // general.architecture
  // Decides between families that share an id (GGUF "llama" is several); null: the id is enough.
  bool (*claims)(const Checkpoint&) = nullptr;
  // What files of its ids are that it does not claim, for the error when no other family does.
  std::string_view excludes{};
  // GGUF files hold the rows of q and k so that the elements of a head that are rotated together
  // are neighbours; config.json's format has them half a head apart.
  bool pairs_rows_in_gguf = false;
  std::unique_ptr<Model> (*build)(Loader&) = nullptr;
};

// All families of this build, made by cmake from the files in src/families.
std::span<const Family* const> all_families();

// The family that has architectures[0] of config.json (else model_type), or general.architecture of
// GGUF, among its names and claims the checkpoint. Throws LoadError for an unknown architecture:
// names it, the nearest known one and all that are supported.
const Family& find_family(const Checkpoint& checkpoint, std::span<const Family* const> families);

template <class M>
std::unique_ptr<Model> build(Loader& load) {
  return std::make_unique<M>(load);
}

}  // namespace rbee

// Where models are: a path as given, or the name of a model in the cache.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace rbee {

// The environment, passed in so that tests can choose it.
struct CacheRoots {
  std::filesystem::path own;   // $XDG_CACHE_HOME/llm-worker-rbee/models
  std::filesystem::path hive;  // $XDG_CACHE_HOME/rbee/models, where the rbee hive keeps its models
};
CacheRoots cache_roots_from_environment();

// The folder of a named model below a root: "smollm2:135m" -> "smollm2-135m". Nullopt for names
// that are no plain name[:tag] or org/name[:tag] (so that no name leads out of the cache).
std::optional<std::filesystem::path> cache_folder(std::string_view model);

// An existing path is taken as it is. A name is looked up in both caches: its folder may hold one
// .gguf file (or a split set), or a safetensors directory. Throws LoadError that says where it
// looked.
std::filesystem::path resolve_model(std::string_view model, const CacheRoots& roots);

// A short name for a model at this path: the folder's name below a cache root, else the file's or
// directory's stem.
std::string model_name(std::string_view model, const std::filesystem::path& path);

}  // namespace rbee

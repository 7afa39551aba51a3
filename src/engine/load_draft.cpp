#include "engine/load_draft.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/load_error.hpp"
#include "model/model.hpp"

namespace rbee {
namespace {

constexpr const char* kField = "draft model";
constexpr int kPadding = 512;  // rows are padded to multiples of up to this

}  // namespace

void require_same_vocabulary(const std::string& draft_file, const Tokenizer& model,
                             const Tokenizer& draft) {
  const int expected = model.vocab_size(), found = draft.vocab_size();
  if (std::abs(expected - found) > kPadding) {
    throw LoadError(draft_file, kField, fmt::format("the model's {} tokens", expected),
                    fmt::format("{} tokens", found));
  }
  for (TokenId id = 0; id < std::min(expected, found); ++id) {
    const std::string ours = model.token_bytes(id, false), theirs = draft.token_bytes(id, false);
    if (ours == theirs || ours.empty() || theirs.empty()) continue;
    throw LoadError(
        draft_file, kField,
        fmt::format("the model's vocabulary, where token {} is '{}'", id, model.id_to_token(id)),
        fmt::format("'{}'", draft.id_to_token(id)));
  }
}

LoadedModel load_draft(const std::filesystem::path& path, const LoadOptions& options,
                       const LoadedModel& model) {
  if (!can_go_back(model.model->info())) {
    throw LoadError(path.string(), kField, "a model that can check guesses",
                    fmt::format("{}, whose recurrent layers cannot go back", model.architecture));
  }
  LoadOptions with_tokenizer = options;
  with_tokenizer.with_tokenizer = true;
  LoadedModel draft = load_model(path, with_tokenizer);
  if (!can_go_back(draft.model->info())) {
    throw LoadError(path.string(), kField, "layers that keep keys and values of each token",
                    fmt::format("{}, whose recurrent layers cannot go back", draft.architecture));
  }
  require_same_vocabulary(path.string(), *model.tokenizer, *draft.tokenizer);
  return draft;
}

}  // namespace rbee

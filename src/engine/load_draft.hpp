// load_draft: the draft model that goes with a model (engine/drafter.hpp).
#pragma once
#include <filesystem>
#include <string>

#include "engine/load_model.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {

// Throws LoadError unless every token that both vocabularies have is the same text. They may differ
// at the end by what pads them, and by a few tokens of one's own.
void require_same_vocabulary(const std::string& draft_file, const Tokenizer& model,
                             const Tokenizer& draft);

// Throws LoadError, also unless the model at path can be a draft of this one.
LoadedModel load_draft(const std::filesystem::path& path, const LoadOptions& options,
                       const LoadedModel& model);

}  // namespace rbee

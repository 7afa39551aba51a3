// The "post_processor" of tokenizer.json: which ids go around a text.
#pragma once
#include "tokenizer/bpe_tokenizer.hpp"
#include "tokenizer/json_spec.hpp"

namespace rbee {

// spec: the object, or null for none. Throws LoadError for kinds it does not know.
Framing read_post_processor(const JsonSpec& spec);

}  // namespace rbee

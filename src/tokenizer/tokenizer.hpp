// Tokenizer: text to token ids and back, as Hugging Face tokenizers does it. Immutable once made;
// safe to use from several threads at once.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.hpp"

namespace rbee {

using TokenId = std::int32_t;

struct EncodeOptions {
  bool add_special = true;    // BOS/EOS by the vocabulary's rule
  bool parse_special = true;  // text that spells a special token becomes that token
  // With add_special: also the BOS/EOS that only tokenizer_config.json asks for (add_bos_token,
  // add_eos_token). Hugging Face tokenizers knows nothing of that file, the model classes of
  // transformers follow it: set this for text that goes to the model without a chat template.
  bool follow_config = false;
};

// What decode does with spaces at the start of the whole text.
enum class LeadingSpace : std::uint8_t {
  keep,
  drop_one,             // one space, when the text starts with one
  drop_in_first_token,  // those the first token stands for, whatever their number
};
// Applies the rule to the bytes of the first token that has any.
void drop_leading_space(LeadingSpace rule, std::string& first_bytes);

class Tokenizer {
 public:
  // From a checkpoint of either format. Throws LoadError.
  static std::shared_ptr<const Tokenizer> load(const Checkpoint& checkpoint);
  // From a model file, or a directory that may hold nothing but tokenizer files. Throws LoadError.
  static std::shared_ptr<const Tokenizer> open(const std::filesystem::path& path);
  virtual ~Tokenizer() = default;

  // Invalid UTF-8 is replaced by U+FFFD first. Time is linear in the text for a given vocabulary.
  virtual std::vector<TokenId> encode(std::string_view text,
                                      const EncodeOptions& options = {}) const = 0;

  // Valid UTF-8; broken sequences become U+FFFD. Ids out of range decode to nothing.
  virtual std::string decode(std::span<const TokenId> ids, bool skip_special = true) const = 0;

  // The bytes this token adds in the middle of a text (perhaps half a character); empty for special
  // tokens when skip_special and for ids out of range.
  virtual std::string token_bytes(TokenId id, bool skip_special = true) const = 0;
  // SentencePiece-style vocabularies put a space before the text and drop it again.
  virtual LeadingSpace leading_space() const = 0;
  // Whether decode shows broken UTF-8 as one U+FFFD for each byte (SentencePiece-style), rather
  // than one for each sequence that begins like a character.
  virtual bool marks_each_byte() const = 0;

  // Whether the library these files are of finds special tokens in a text: Hugging Face tokenizers
  // does, sentencepiece and mistral-common never do.
  virtual bool finds_special_in_text() const { return true; }

  virtual int vocab_size() const = 0;  // 1 + highest id
  virtual bool is_special(TokenId id) const = 0;
  virtual std::optional<TokenId> token_to_id(std::string_view token) const = 0;
  // The token as the vocabulary spells it ("Ġthe", "▁the", "<0x0A>"); empty when out of range.
  virtual std::string_view id_to_token(TokenId id) const = 0;

  virtual std::optional<TokenId> bos() const = 0;
  // Ids that end a generation, ascending: the union of what the files say (eos/eot/eom keys of
  // GGUF, or config.json, generation_config.json and tokenizer_config.json) and the known
  // end-of-turn texts.
  virtual std::span<const TokenId> end_ids() const = 0;
  // The chat template the files carry, or empty.
  virtual std::string_view chat_template() const = 0;
  // Spelling of BOS and EOS as templates print them; empty when there is none.
  virtual std::string_view bos_text() const = 0;
  virtual std::string_view eos_text() const = 0;
  virtual std::string description()
      const = 0;  // "byte-level BPE, 49152 tokens, pre-tokenizer smollm"
};

// Turns tokens to text one at a time, holding back bytes of an unfinished character. The
// concatenation of all pieces and finish() equals decode() of all ids.
class Detokenizer {
 public:
  explicit Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = true);
  std::string push(
      TokenId id);       // the text that is now complete, perhaps empty; always whole characters
  std::string finish();  // what is left: U+FFFD for an unfinished character

 private:
  std::string repair(std::string_view bytes) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  bool skip_special_;
  bool at_start_ = true;
  std::string pending_;
};

}  // namespace rbee

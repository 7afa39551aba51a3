// Reads tokenizer.model, the format of SentencePiece (Kudo and Richardson 2018, arXiv:1808.06226;
// https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto).
#pragma once
#include <string>
#include <string_view>

#include "tokenizer/bpe_tokenizer.hpp"

namespace rbee {

// Everything the file says: BPE and Unigram vocabularies, normalisation, BOS and EOS. Ids equal
// those of the sentencepiece library. With add_special a text begins with BOS where there is one,
// as the tokenizer classes of transformers for such files have it; tokenizer_config.json may say
// otherwise. Throws LoadError.
TokenizerParts read_sentence_piece_model(const std::string& file);
// The same from memory; file is for messages.
TokenizerParts parse_sentence_piece_model(std::string_view bytes, const std::string& file);

}  // namespace rbee

// TextStream: a TokenStream as text. Detokenizes, ends at stop strings (which may lie over token
// borders and are not part of the answer), and never gives out text that may still turn out to
// begin a stop string. Used by the server and the command line; runs on the consumer's thread.
#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/token_stream.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {

struct TextPiece {
  std::string text;                // whole characters; may be empty when tokens are held back
  std::vector<TokenEvent> tokens;  // the tokens that became final with this piece
};

class TextStream {
 public:
  TextStream(std::shared_ptr<TokenStream> tokens, std::shared_ptr<const Tokenizer> tokenizer,
             std::vector<std::string> stop);
  ~TextStream();  // cancels the generation unless it is finished

  // The next piece, or nullopt when nothing more is there now. Once finished() is set there is
  // nothing more.
  std::optional<TextPiece> try_next();
  // Waits for the next piece; nullopt at the end.
  std::optional<TextPiece> next();

  // Set with or after the last piece. reason is stop when a stop string matched; completion_tokens
  // then counts up to the token that completed the match.
  const std::optional<Finish>& finished() const { return finish_; }
  const std::string& matched_stop() const { return matched_stop_; }
  TokenStream& tokens() { return *tokens_; }

 private:
  std::optional<TextPiece> take(TokenStream::Item item);

  std::shared_ptr<TokenStream> tokens_;
  Detokenizer detokenizer_;
  std::vector<std::string> stop_;
  std::string held_;  // text that may begin a stop string
  std::vector<TokenEvent> held_tokens_;
  int n_tokens_ = 0;
  std::optional<Finish> finish_;
  std::string matched_stop_;
};

}  // namespace rbee

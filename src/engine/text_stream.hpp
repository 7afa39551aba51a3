// TextStream: a TokenStream as text. Detokenizes, ends at stop strings (which may lie over token
// borders and are not part of the answer), and never gives out text that may still turn out to
// begin a stop string. Used by the server and the command line; runs on the consumer's thread.
#pragma once
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/stop_matcher.hpp"
#include "engine/token_stream.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {

struct TextPiece {
  std::string text;                // whole characters; may be empty where tokens are not
  std::vector<TokenEvent> tokens;  // those whose text is out with this piece; may be empty
};

// A stop string matches where it ends first; of several that end at the same byte the longest. The
// answer is the text before it, and its tokens are those that contributed to that text. Stop
// strings are valid UTF-8; empty ones are ignored.
class TextStream {
 public:
  TextStream(std::shared_ptr<TokenStream> tokens, std::shared_ptr<const Tokenizer> tokenizer,
             std::vector<std::string> stop);
  ~TextStream();  // cancels the generation unless it is finished
  TextStream(const TextStream&) = delete;
  TextStream& operator=(const TextStream&) = delete;

  // The next piece, or nullopt when nothing more is there now. Once finished() is set there is
  // nothing more.
  std::optional<TextPiece> try_next();
  // Waits for the next piece; nullopt at the end.
  std::optional<TextPiece> next();

  // Set with or after the last piece: after a stop string matched, it comes as soon as the engine
  // has ended the sequence. reason is stop when a stop string matched; completion_tokens then
  // counts up to the token that completed the match.
  const std::optional<Finish>& finished() const { return finish_; }
  const std::string& matched_stop() const { return matched_stop_; }
  TokenStream& tokens() { return *tokens_; }

 private:
  struct HeldToken {
    TokenEvent event;
    std::size_t begin = 0;  // its text in the whole answer, in bytes
    std::size_t end = 0;
    bool has_text = false;  // no: its bytes may be part of a character that a later token completes
  };

  std::optional<TextPiece> take(TokenStream::Item item);
  std::optional<TextPiece> take_token(TokenEvent event);
  std::optional<TextPiece> take_finish(Finish finish);
  void append(std::string_view text);
  TextPiece release(std::size_t n_bytes);

  std::shared_ptr<TokenStream> tokens_;
  Detokenizer detokenizer_;
  std::vector<std::string> stop_;
  StopMatcher matcher_;
  std::string held_;  // text that may begin a stop string
  std::deque<HeldToken> held_tokens_;
  std::size_t n_released_ = 0;  // bytes given out
  int n_tokens_ = 0;
  bool stopped_ = false;  // a stop string matched
  std::optional<Finish> finish_;
  std::string matched_stop_;
};

}  // namespace rbee

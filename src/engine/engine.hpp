// Engine: continuous batching over one model. One thread owns the backend, the state cache and
// every sequence; everybody else talks to it through submit and TokenStream.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "backend/backend.hpp"
#include "base/result.hpp"
#include "engine/drafter.hpp"
#include "engine/request.hpp"
#include "engine/token_stream.hpp"
#include "model/model.hpp"

namespace rbee {

enum class Speculate : std::uint8_t {
  never,
  adaptive,  // as many guesses as pay
  always     // all guesses there are: for tests and measurements
};

struct EngineOptions {
  int max_context = 0;  // tokens of one sequence; 0: the model's own limit, as far as memory allows
  int max_sequences = 32;  // running at once
  int max_queue = 256;     // waiting; more are refused
  // Tokens of one step: bounds how long a prefill chunk delays the decoding sequences. Each of
  // these takes part in each step, whatever is set here.
  int max_batch_tokens = 512;
  std::size_t state_bytes =
      0;  // for the cache; 0: room for max_sequences of max_context, within free memory
  std::size_t stream_capacity = 256;
  // Guesses are checked (engine/speculation.hpp), unless the model has state that cannot go back.
  // With never a draft model is not heeded either.
  Speculate speculate = Speculate::adaptive;
  // Ids from here on are never picked: rows that pad the vocabulary to a round number and that the
  // tokenizer does not know. 0: all of the model's.
  int n_vocab_valid = 0;

  // The most tokens that a step has.
  int step_tokens() const { return std::max(max_batch_tokens, max_sequences); }
};

struct EngineStats {
  int running = 0;
  int waiting = 0;
  int pages_total = 0;
  int pages_free = 0;
  int slots_total = 0;  // of recurrent state and rings
  int slots_free = 0;
  std::uint64_t steps = 0;
  std::uint64_t prompt_tokens = 0;     // of finished prefills
  std::uint64_t generated_tokens = 0;  // given to streams
  std::uint64_t preemptions = 0;
  std::uint64_t guessed_tokens = 0;  // checked by steps
  std::uint64_t guesses_kept = 0;    // of these: became part of an answer
  std::uint64_t drafted_tokens = 0;  // of the guessed: those of the draft model
  std::uint64_t drafts_kept = 0;     // of these: became part of an answer
  std::uint64_t finished = 0;        // ended by length, eos or error
  std::uint64_t cancelled = 0;       // ended by their consumer or by shutdown
};

class Engine {
 public:
  // Allocates the state and starts the engine thread. backend and model must outlive the engine, as
  // must those of the draft, whose backend is another one. Throws BackendError when not even one
  // sequence of max_context fits, and for a draft where either model has state that cannot go back.
  Engine(Backend& backend, const Model& model, const EngineOptions& options,
         const Draft& draft = {});
  ~Engine();  // cancels what runs and joins the thread
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Any thread. The stream ends with exactly one Finish, whatever happens; by then its state is
  // given back and stats() has counted it. Prompt and answer together have at most max_context()
  // tokens, so that a prompt must be shorter than that. Sampling parameters that validate
  // (sampling/sampling_params.hpp) refuses count as off.
  Result<std::shared_ptr<TokenStream>, SubmitError> submit(GenerationRequest request);

  // Stops admitting; running and waiting sequences finish with FinishReason::cancelled at the next
  // step. Does not wait for them.
  void shutdown();

  int max_context() const;
  EngineStats stats() const;  // any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace rbee

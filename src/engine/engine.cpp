#include "engine/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "engine/batch_builder.hpp"
#include "engine/scheduler.hpp"
#include "engine/wake_signal.hpp"
#include "sampling/random.hpp"
#include "sampling/sampler.hpp"
#include "state/free_memory.hpp"
#include "state/state_cache.hpp"
#include "state/state_plan.hpp"
#include "state/window_rings.hpp"

namespace rbee {
namespace {

// Both models get as many pages and slots, so that those of a sequence serve both.
StatePlan plan_and_allocate(Backend& backend, const ModelInfo& info, const EngineOptions& options,
                            const Draft& draft) {
  if (info.context_limit > 0 && options.max_context > info.context_limit) {
    throw BackendError(
        fmt::format("a context of {} tokens was asked for, this model can do up to {}",
                    options.max_context, info.context_limit));
  }
  // Weights that are read from the file should keep their place among the pages of files, which
  // count as free.
  const std::size_t all = free_memory();
  const std::size_t free = all - std::min(all, backend.memory().in_file);
  const std::size_t budget =
      options.state_bytes > 0
          ? options.state_bytes
          : static_cast<std::size_t>(static_cast<double>(free) * kStateShareOfFreeMemory);
  const int context = options.max_context > 0 ? options.max_context : info.max_context;
  const std::vector<LayerState> layers = with_rings(info.state, context, options.step_tokens());
  StateNeeds needs{.page_bytes = backend.page_bytes(layers),
                   .slot_bytes = backend.slot_bytes(layers),
                   .model_context = info.max_context,
                   .max_context = options.max_context,
                   .max_sequences = options.max_sequences};
  std::vector<LayerState> draft_layers;
  if (draft.model != nullptr) {
    draft_layers =
        with_rings(draft.model->info().state, context, Drafter::step_tokens(options.step_tokens()));
    needs.page_bytes += draft.backend->page_bytes(draft_layers);
    needs.slot_bytes += draft.backend->slot_bytes(draft_layers);
  }
  Result<StatePlan, std::string> plan = plan_state(needs, budget);
  if (!plan) throw BackendError(plan.error());
  if (options.max_context == 0 && plan->max_context < info.max_context) {
    log::warn("the context is cut from {} to {} tokens: no more state fits into {} MiB",
              info.max_context, plan->max_context, budget >> 20);
  }
  if (info.max_context > 0 && plan->max_context > info.max_context) {
    log::warn("the context of {} tokens is longer than the {} the model was made for",
              plan->max_context, info.max_context);
  }
  backend.allocate_state(layers, plan->n_pages, plan->n_slots);
  if (draft.model != nullptr) {
    draft.backend->allocate_state(draft_layers, plan->n_pages, plan->n_slots);
  }
  return *plan;
}

// None where nothing is guessed.
Draft checked_draft(const Draft& draft, const ModelInfo& info, const EngineOptions& options) {
  if (draft.model == nullptr || options.speculate == Speculate::never) return {};
  if (!can_go_back(info)) {
    throw BackendError("a draft model is of no use to a model with recurrent layers");
  }
  if (!can_go_back(draft.model->info())) {
    throw BackendError("a model with recurrent layers cannot be a draft model");
  }
  return draft;
}

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

double seconds(const std::optional<Sequence::Clock::time_point>& from,
               const std::optional<Sequence::Clock::time_point>& to) {
  return from && to ? std::chrono::duration<double>(*to - *from).count() : 0;
}

}  // namespace

struct Engine::Impl {
  Impl(Backend& backend_in, const Model& model_in, const EngineOptions& options_in,
       const Draft& draft_in);

  // Any thread.
  Result<std::shared_ptr<TokenStream>, SubmitError> submit(GenerationRequest request);
  std::unique_ptr<Sequence> make_sequence(GenerationRequest request);

  // Engine thread.
  void loop();
  void take_incoming();
  void sweep();
  void guess();
  GuessPolicy::Step look_up_guesses();
  void draft_guesses(GuessPolicy::Step step);
  void step(std::span<const Slice> slices);
  void advance(const Slice& slice, std::span<const float> logits);
  void note_guesses(Sequence& sequence, int checked, int kept);
  bool pick(Sequence& sequence, std::span<const float> logits);
  void finish(Sequence& sequence, FinishReason reason, std::string error = {});
  void publish();

  Backend& backend;
  const Model& model;
  const EngineOptions options;
  const Draft draft;
  const StatePlan plan;
  const int n_vocab;
  const bool guessing;
  const std::uint64_t seed_of_seeds = random_seed();

  // Shared between threads.
  const std::shared_ptr<WakeSignal> wake = std::make_shared<WakeSignal>();
  std::atomic<std::uint64_t> seeds_made{0};
  std::atomic<bool> stopping{false};  // shutdown was called
  std::atomic<bool> quitting{false};  // the thread is to end
  mutable std::mutex mutex;
  std::vector<std::unique_ptr<Sequence>> incoming;  // guarded by mutex
  int in_flight = 0;                                // guarded by mutex
  std::uint64_t arrivals = 0;                       // guarded by mutex
  EngineStats published;                            // guarded by mutex

  // Engine thread only.
  StateCache cache;
  Scheduler scheduler;
  BatchBuilder batches;
  SamplerScratch scratch;
  std::vector<Slice> slices_under_way;
  std::vector<Sequence*> all;
  std::vector<Sequence*> decoding;  // about to get one token, or more if guesses are right
  std::vector<Sequence*> guessed;   // have a guess
  std::vector<Drafter::Wish> wishes;
  std::vector<GuessPolicy::Choice> choices;
  GuessPolicy guess_policy;
  GuessRecord draft_record;        // over all sequences: what a new one begins with
  std::optional<Drafter> drafter;  // none: no draft, or it failed
  EngineStats counts;

  std::thread thread;
};

Engine::Impl::Impl(Backend& backend_in, const Model& model_in, const EngineOptions& options_in,
                   const Draft& draft_in)
    : backend(backend_in),
      model(model_in),
      options(options_in),
      draft(checked_draft(draft_in, model.info(), options)),
      plan(plan_and_allocate(backend, model.info(), options, draft)),
      n_vocab(model.info().vocab_size),
      guessing(options.speculate != Speculate::never && can_go_back(model.info())),
      cache(plan.n_pages, plan.n_slots),
      scheduler(cache, {.max_sequences = options.max_sequences,
                        .max_batch_tokens = options.step_tokens()}) {
  if (draft.model != nullptr) {
    const int n_valid = options.n_vocab_valid > 0 ? options.n_vocab_valid : n_vocab;
    drafter.emplace(draft, n_valid, plan.n_slots > 0, options.step_tokens());
  }
  publish();
}

Result<std::shared_ptr<TokenStream>, SubmitError> Engine::Impl::submit(GenerationRequest request) {
  if (request.prompt.empty()) return Err{SubmitError::prompt_empty};
  if (request.prompt.size() >= static_cast<std::size_t>(plan.max_context)) {
    return Err{SubmitError::prompt_too_long};
  }
  const auto out_of_range = [&](std::int32_t id) { return id < 0 || id >= n_vocab; };
  if (std::any_of(request.prompt.begin(), request.prompt.end(), out_of_range)) {
    return Err{SubmitError::token_out_of_range};
  }
  std::unique_ptr<Sequence> sequence = make_sequence(std::move(request));
  std::shared_ptr<TokenStream> stream = sequence->stream;
  {
    const std::lock_guard lock(mutex);
    if (stopping) return Err{SubmitError::shutting_down};
    if (in_flight >= std::max(options.max_sequences, 1) + std::max(options.max_queue, 0)) {
      return Err{SubmitError::queue_full};
    }
    ++in_flight;
    sequence->arrival = arrivals++;
    incoming.push_back(std::move(sequence));
  }
  wake->raise();
  return stream;
}

std::unique_ptr<Sequence> Engine::Impl::make_sequence(GenerationRequest request) {
  auto sequence = std::make_unique<Sequence>();
  const int n_prompt = static_cast<int>(request.prompt.size());
  const int room = plan.max_context - n_prompt;
  sequence->n_prompt = n_prompt;
  sequence->limit = n_prompt + (request.max_tokens < 0 ? room : std::min(request.max_tokens, room));
  sequence->tokens = std::move(request.prompt);
  sequence->end_ids = std::move(request.end_ids);
  sequence->top_logprobs = request.top_logprobs;
  sequence->stream =
      std::make_shared<TokenStream>(options.stream_capacity, [signal = wake] { signal->raise(); });
  const std::uint64_t seed =
      request.sampling.seed ? *request.sampling.seed : mix64(seed_of_seeds + seeds_made++);
  sequence->sampler = Sampler(request.sampling, n_prompt, seed);
  return sequence;
}

void Engine::Impl::loop() {
  while (!quitting) {
    take_incoming();
    sweep();
    if (guessing) guess();
    const std::span<const Slice> slices = scheduler.next();
    publish();
    if (slices.empty()) {
      wake->wait();
    } else {
      slices_under_way.assign(slices.begin(), slices.end());
      step(slices_under_way);
    }
  }
  stopping = true;
  take_incoming();
  sweep();
}

void Engine::Impl::take_incoming() {
  const std::lock_guard lock(mutex);
  for (auto& sequence : incoming) {
    sequence->drafts = draft_record;
    scheduler.add(std::move(sequence));
  }
  incoming.clear();
}

// Ends what was cancelled and notes whose consumers do not keep up.
void Engine::Impl::sweep() {
  scheduler.collect(all);
  for (Sequence* sequence : all) {
    if (stopping || sequence->stream->cancelled()) {
      finish(*sequence, FinishReason::cancelled);
    } else if (sequence->n_tokens() >= sequence->limit) {  // nothing was asked for
      finish(*sequence, FinishReason::length);
    } else {
      sequence->paused = sequence->stream->paused(sequence->paused);
    }
  }
}

// Guesses for the sequences that are about to decode.
void Engine::Impl::guess() {
  if (drafter) scheduler.make_room_to_decode();
  scheduler.collect(all);
  decoding.clear();
  for (Sequence* sequence : all) {
    sequence->guess.clear();
    sequence->drafted = false;
    if (sequence->state && !sequence->paused && sequence->n_pending() == 1) {
      decoding.push_back(sequence);
    }
  }
  const GuessPolicy::Step step = look_up_guesses();
  if (drafter) draft_guesses(step);
}

// Returns what a step with these guesses is.
GuessPolicy::Step Engine::Impl::look_up_guesses() {
  guessed.clear();
  choices.clear();
  for (Sequence* sequence : decoding) {
    const int room = sequence->limit - sequence->n_tokens() - 1;
    look_up(sequence->tokens, std::min(room, GuessPolicy::kMostGuesses), sequence->guess);
    if (sequence->guess.empty()) continue;
    guessed.push_back(sequence);
    choices.push_back({.expected = sequence->guesses.expected(),
                       .available = static_cast<int>(sequence->guess.size())});
  }
  if (options.speculate == Speculate::always) return {};
  const auto step = guess_policy.choose(choices, static_cast<int>(decoding.size()));
  for (std::size_t i = 0; i < guessed.size(); ++i) {
    guessed[i]->guess.resize(static_cast<std::size_t>(choices[i].count));
    if (choices[i].count == 0) guessed[i]->guesses.note_unused();
  }
  return step;
}

// Guesses of the draft model for those that have none, to be added to the step.
void Engine::Impl::draft_guesses(GuessPolicy::Step step) {
  constexpr int kFarAhead = 256;     // answers may end before their limit
  constexpr int kTokensOfAStep = 2;  // or more, where drafts pay
  wishes.clear();
  choices.clear();
  for (Sequence* sequence : decoding) {
    const int left = sequence->limit - sequence->n_tokens();
    const int most = std::min({left - 1, drafter->room(*sequence), GuessPolicy::kMostGuesses});
    if (!sequence->guess.empty() || most < 1) continue;
    wishes.push_back({sequence, most});
    choices.push_back({.expected = sequence->drafts.expected(),
                       .available = most,
                       .behind = Drafter::behind(*sequence),
                       .ahead = std::min(left, kFarAhead) / kTokensOfAStep});
  }
  if (options.speculate == Speculate::adaptive) {
    guess_policy.choose_drafts(choices, step);
    bool any = wishes.empty();
    for (std::size_t i = 0; i < wishes.size(); ++i) {
      wishes[i].count = choices[i].count;
      if (choices[i].count == 0) wishes[i].sequence->drafts.note_unused();
      any = any || choices[i].count > 0;
    }
    if (!any) guess_policy.note_no_round();
  }
  // Nobody gives way for a guess.
  std::erase_if(wishes, [](const Drafter::Wish& wish) {
    Sequence& sequence = *wish.sequence;
    return wish.count == 0 || !sequence.state->reserve(sequence.n_tokens() + wish.count);
  });
  try {
    drafter->draft(wishes, guess_policy);
    for (const Drafter::Wish& wish : wishes) wish.sequence->drafted = true;
  } catch (const std::exception& error) {
    log::error("the draft model failed and is not asked again: {}", error.what());
    for (const Drafter::Wish& wish : wishes) wish.sequence->guess.clear();
    drafter.reset();
  }
}

void Engine::Impl::step(std::span<const Slice> slices) {
  const auto now = Sequence::Clock::now();
  for (const Slice& slice : slices) {
    if (!slice.sequence->admitted) slice.sequence->admitted = now;
  }
  std::span<const float> logits;
  try {
    const Batch batch = batches.build(slices, plan.n_slots > 0);
    logits = backend.run(
        batch, [this](Ops& ops, const Batch& current) { return model.forward(ops, current); });
    if (logits.size() != batch.logit_rows.size() * static_cast<std::size_t>(n_vocab)) {
      throw BackendError("the backend gave logits of a wrong size");
    }
  } catch (const std::exception& error) {
    // What the step left in the state is unknown: all its sequences end.
    log::error("a step of {} sequences failed: {}", slices.size(), error.what());
    for (const Slice& slice : slices) finish(*slice.sequence, FinishReason::error, error.what());
    return;
  }
  ++counts.steps;
  int n_tokens = 0, n_picked = 0;
  for (const Slice& slice : slices) {
    const bool wants_token = slice.reaches_end();
    slice.sequence->n_computed += slice.n_tokens;
    n_tokens += slice.n_tokens + slice.n_guesses;
    if (!wants_token) continue;
    const int rows = 1 + slice.n_guesses;
    n_picked += rows;
    advance(slice, logits.first(static_cast<std::size_t>(rows) * n_vocab));
    logits = logits.subspan(static_cast<std::size_t>(rows) * n_vocab);
  }
  if (guessing && n_picked == n_tokens) {  // no prompts
    const std::chrono::duration<double> took = Sequence::Clock::now() - now;
    guess_policy.note_step(n_tokens, took.count());
  }
}

// Picks tokens while they are those that were guessed, and the one that comes then.
void Engine::Impl::advance(const Slice& slice, std::span<const float> logits) {
  Sequence& sequence = *slice.sequence;
  counts.guessed_tokens += static_cast<std::uint64_t>(slice.n_guesses);
  if (sequence.drafted) counts.drafted_tokens += static_cast<std::uint64_t>(slice.n_guesses);
  for (int kept = 0;; ++kept) {
    if (!pick(sequence, logits.first(n_vocab))) return;
    if (kept == slice.n_guesses || sequence.tokens.back() != sequence.guess[kept]) {
      note_guesses(sequence, slice.n_guesses, kept);
      return;
    }
    ++sequence.n_computed;
    ++counts.guesses_kept;
    if (sequence.drafted) ++counts.drafts_kept;
    logits = logits.subspan(n_vocab);
  }
}

void Engine::Impl::note_guesses(Sequence& sequence, int checked, int kept) {
  if (!sequence.drafted) return sequence.guesses.note(checked, kept);
  sequence.drafts.note(checked, kept);
  draft_record.note(checked, kept);
}

// Picks the next token of a sequence; ends it, and returns false, if that was the last.
bool Engine::Impl::pick(Sequence& sequence, std::span<const float> logits) {
  if (options.n_vocab_valid > 0 && options.n_vocab_valid < n_vocab) {
    logits = logits.first(options.n_vocab_valid);
  }
  const auto picked = sequence.sampler.pick(logits, sequence.tokens, scratch);
  if (!picked) {
    finish(sequence, FinishReason::error, std::string(describe(picked.error())));
    return false;
  }
  sequence.last_token = Sequence::Clock::now();
  if (!sequence.first_token) {
    sequence.first_token = sequence.last_token;
    counts.prompt_tokens += sequence.n_prompt;
  }
  const std::int32_t id = *picked;
  if (std::find(sequence.end_ids.begin(), sequence.end_ids.end(), id) != sequence.end_ids.end()) {
    finish(sequence, FinishReason::eos);
    return false;
  }
  TokenEvent event{.id = id, .logprob = 0, .top = {}};
  if (sequence.top_logprobs >= 0) {
    Logprobs probabilities = logprobs(logits, id, sequence.top_logprobs);
    event.logprob = probabilities.chosen;
    event.top = std::move(probabilities.top);
  }
  sequence.tokens.push_back(id);
  ++counts.generated_tokens;
  sequence.stream->push(std::move(event));
  if (sequence.n_tokens() < sequence.limit) return true;
  finish(sequence, FinishReason::length);
  return false;
}

void Engine::Impl::finish(Sequence& sequence, FinishReason reason, std::string error) {
  const std::unique_ptr<Sequence> ended = scheduler.remove(sequence);
  ++(reason == FinishReason::cancelled ? counts.cancelled : counts.finished);
  {
    const std::lock_guard lock(mutex);
    --in_flight;
  }
  publish();
  ended->stream->push(Finish{.reason = reason,
                             .error = std::move(error),
                             .prompt_tokens = ended->n_prompt,
                             .completion_tokens = ended->n_answer(),
                             .prefill_seconds = seconds(ended->admitted, ended->first_token),
                             .decode_seconds = seconds(ended->first_token, ended->last_token)});
}

void Engine::Impl::publish() {
  const StateUsage usage = cache.usage();
  counts.running = scheduler.n_running();
  counts.waiting = scheduler.n_waiting();
  counts.pages_total = usage.pages_total;
  counts.pages_free = usage.pages_free;
  counts.slots_total = usage.slots_total;
  counts.slots_free = usage.slots_free;
  counts.preemptions = scheduler.preemptions();
  const std::lock_guard lock(mutex);
  published = counts;
}

Engine::Engine(Backend& backend, const Model& model, const EngineOptions& options,
               const Draft& draft)
    : impl_(std::make_unique<Impl>(backend, model, options, draft)) {
  impl_->thread = std::thread([this] { impl_->loop(); });
}

Engine::~Engine() {
  impl_->quitting = true;
  shutdown();
  impl_->thread.join();
}

Result<std::shared_ptr<TokenStream>, SubmitError> Engine::submit(GenerationRequest request) {
  return impl_->submit(std::move(request));
}

void Engine::shutdown() {
  {
    const std::lock_guard lock(impl_->mutex);  // so that no submit slips in afterwards
    impl_->stopping = true;
  }
  impl_->wake->raise();
}

int Engine::max_context() const { return impl_->plan.max_context; }

EngineStats Engine::stats() const {
  const std::lock_guard lock(impl_->mutex);
  EngineStats stats = impl_->published;
  stats.waiting = std::max(impl_->in_flight - stats.running, 0);  // also what is just arriving
  return stats;
}

}  // namespace rbee

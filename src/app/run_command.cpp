// run: chat in the terminal.
#include <editline/readline.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <cerrno>
#include <clocale>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "app/chat_framing.hpp"
#include "app/commands.hpp"
#include "base/json.hpp"
#include "base/log.hpp"
#include "engine/engine.hpp"
#include "engine/text_stream.hpp"

namespace rbee {
namespace {

// A little more careful than the model's own distribution, as people expect of a chat.
SamplingParams chat_defaults() {
  SamplingParams sampling;
  sampling.temperature = 0.7F;
  sampling.top_p = 0.95F;
  sampling.min_p = 0.05F;
  return sampling;
}

struct RunOptions {
  ModelOptions model;
  std::string prompt;
  std::string system;
  SamplingParams sampling = chat_defaults();
  std::uint64_t seed = 0;
  bool has_seed = false;
  int max_tokens = -1;
  int context = 0;
  Speculate speculate = EngineOptions{}.speculate;
  bool raw = false;
  bool json = false;
};

// What Ctrl-C leaves behind; a signal handler can reach nothing else. The pipe wakes a wait for
// the next key: a flag alone would be missed when the signal comes just before that wait.
std::atomic<bool> g_interrupted{false};
std::array<int, 2> g_interrupt_pipe{-1, -1};

void on_interrupt(int) {
  const int error = errno;
  g_interrupted.store(true);
  if (g_interrupt_pipe[1] >= 0) {
    [[maybe_unused]] const auto written = ::write(g_interrupt_pipe[1], "", 1);
  }
  errno = error;
}

void drain_interrupts() {
  std::array<char, 64> bytes;
  while (::read(g_interrupt_pipe[0], bytes.data(), bytes.size()) > 0) {
  }
}

// The line editor's source of characters: the next one typed, or -1, which ends the line, at
// Ctrl-C and at the end of the input.
int next_character(std::FILE*) {
  std::mbstate_t state{};
  while (true) {
    std::array<pollfd, 2> sources{pollfd{STDIN_FILENO, POLLIN, 0},
                                  pollfd{g_interrupt_pipe[0], POLLIN, 0}};
    if (::poll(sources.data(), sources.size(), -1) < 0 && errno != EINTR) return -1;
    if (g_interrupted) return -1;
    if (sources[0].revents == 0) continue;
    char byte = 0;
    if (::read(STDIN_FILENO, &byte, 1) <= 0) return -1;
    wchar_t character = 0;
    const std::size_t taken = std::mbrtowc(&character, &byte, 1, &state);
    if (taken == static_cast<std::size_t>(-2)) continue;  // the first bytes of a character
    if (taken != static_cast<std::size_t>(-1)) return static_cast<int>(character);
    state = {};  // no character of this locale: dropped
  }
}

struct Answer {
  std::string text;
  Finish finish;
};

class Chat {
 public:
  Chat(const RunOptions& options, LoadedModel& model, Engine& engine)
      : options_(options), model_(model), engine_(engine), framing_(chat_framing(model)) {
    if (!options.system.empty())
      messages_.push_back({{"role", "system"}, {"content", options.system}});
  }

  // Streams the answer to standard output, unless quiet.
  Answer ask(const std::string& text, bool quiet) {
    messages_.push_back({{"role", "user"}, {"content", text}});
    Answer answer = generate(encode(text), quiet);
    if (answer.finish.reason == FinishReason::error) {
      messages_.erase(messages_.size() - 1);
      throw std::runtime_error(answer.finish.error);
    }
    messages_.push_back({{"role", "assistant"}, {"content", answer.text}});
    return answer;
  }

  EngineStats engine_stats() const { return engine_.stats(); }

  void forget() {
    messages_ = Json::array();
    if (!options_.system.empty())
      messages_.push_back({{"role", "system"}, {"content", options_.system}});
  }

 private:
  std::vector<TokenId> encode(const std::string& text) const {
    if (options_.raw) return model_.tokenizer->encode(text);
    const Json variables{{"messages", messages_},
                         {"add_generation_prompt", true},
                         {"bos_token", model_.tokenizer->bos_text()},
                         {"eos_token", model_.tokenizer->eos_text()}};
    return model_.tokenizer->encode(framing_.chat_template.render(variables),
                                    {.add_special = false});
  }

  Answer generate(std::vector<TokenId> prompt, bool quiet) {
    const auto ends = model_.tokenizer->end_ids();
    GenerationRequest request;
    request.prompt = std::move(prompt);
    request.sampling = options_.sampling;
    request.max_tokens = options_.max_tokens;
    request.end_ids.assign(ends.begin(), ends.end());
    if (options_.has_seed) request.sampling.seed = options_.seed;
    auto tokens = engine_.submit(std::move(request));
    if (!tokens) throw std::runtime_error("the conversation is longer than the context");
    TextStream stream(*tokens, model_.tokenizer,
                      options_.raw ? std::vector<std::string>{} : framing_.stop);
    Answer answer;
    g_interrupted = false;
    while (auto piece = stream.next()) {
      answer.text += piece->text;
      if (!quiet) fmt::print("{}", piece->text);
      std::fflush(stdout);
      if (g_interrupted) stream.tokens().cancel();
    }
    answer.finish = *stream.finished();
    return answer;
  }

  const RunOptions& options_;
  LoadedModel& model_;
  Engine& engine_;
  ChatFraming framing_;
  Json messages_ = Json::array();
};

double tokens_per_second(const Finish& finish) {
  return finish.decode_seconds > 0 ? (finish.completion_tokens - 1) / finish.decode_seconds : 0;
}

void print_speed(const Finish& finish) {
  fmt::print(stderr, "[{} tokens, {:.1f} tokens/s; {} prompt tokens in {:.2f} s]\n",
             finish.completion_tokens, tokens_per_second(finish), finish.prompt_tokens,
             finish.prefill_seconds);
}

int answer_once(const RunOptions& options, Chat& chat, const std::string& prompt) {
  const Answer answer = chat.ask(prompt, options.json);
  if (options.json) {
    const EngineStats stats = chat.engine_stats();
    const Json report{{"text", answer.text},
                      {"prompt_tokens", answer.finish.prompt_tokens},
                      {"completion_tokens", answer.finish.completion_tokens},
                      {"tokens_per_second", tokens_per_second(answer.finish)},
                      {"guessed_tokens", stats.guessed_tokens},
                      {"guesses_kept", stats.guesses_kept},
                      {"drafted_tokens", stats.drafted_tokens},
                      {"drafts_kept", stats.drafts_kept}};
    fmt::print("{}\n", dump_json(report));
    return 0;
  }
  fmt::print("\n");
  print_speed(answer.finish);
  return answer.finish.reason == FinishReason::cancelled ? 130 : 0;
}

std::filesystem::path history_file() {
  namespace fs = std::filesystem;
  const char* state = std::getenv("XDG_STATE_HOME");
  const char* home = std::getenv("HOME");
  const fs::path root = state != nullptr && *state != '\0'
                            ? fs::path(state)
                            : fs::path(home != nullptr ? home : "/tmp") / ".local/state";
  std::error_code ignored;
  fs::create_directories(root / "llm-worker-rbee", ignored);
  return root / "llm-worker-rbee" / "history";
}

int converse(Chat& chat) {
  const std::string history = history_file().string();
  std::setlocale(LC_CTYPE, "");  // what is typed is in the terminal's encoding
  if (::pipe2(g_interrupt_pipe.data(), O_NONBLOCK | O_CLOEXEC) != 0)
    throw std::runtime_error("no pipe for Ctrl-C");
  rl_getc_function = next_character;  // taken over by the first call of the line editor
  using_history();
  stifle_history(1000);
  read_history(history.c_str());
  fmt::print(stderr, "Ctrl-C stops an answer; /clear starts anew; /bye or Ctrl-D ends.\n");
  std::signal(SIGINT, on_interrupt);
  while (true) {
    drain_interrupts();
    g_interrupted = false;
    const std::unique_ptr<char, decltype(&std::free)> line(readline(">>> "), &std::free);
    if (line == nullptr) {
      if (!g_interrupted) break;
      ::tcflush(STDIN_FILENO, TCIFLUSH);  // Ctrl-C drops all that was typed, read or not
      fmt::print("\n");
      std::fflush(stdout);
      continue;
    }
    const std::string text(line.get());
    if (text.find_first_not_of(" \t") == std::string::npos) continue;
    add_history(text.c_str());
    if (text == "/bye" || text == "/exit" || text == "/quit") break;
    if (text == "/clear") {
      chat.forget();
      continue;
    }
    try {
      const Answer answer = chat.ask(text, false);
      fmt::print("\n");
      print_speed(answer.finish);
    } catch (const std::exception& e) {
      fmt::print(stderr, "error: {}\n", e.what());
    }
  }
  fmt::print(stderr, "\n");
  write_history(history.c_str());
  return 0;
}

int run_chat(const RunOptions& options) {
  EngineOptions engine_options;
  engine_options.max_context = options.context;
  engine_options.max_sequences = 1;
  engine_options.speculate = options.speculate;
  LoadedModel model = load(options.model, true, options.context, engine_options.step_tokens());
  engine_options.n_vocab_valid = model.tokenizer->vocab_size();
  const LoadedModel draft = load_draft(options.model, model, engine_options);
  Engine engine(*model.backend, *model.model, engine_options,
                {draft.backend.get(), draft.model.get()});
  Chat chat(options, model, engine);
  const bool terminal = ::isatty(STDIN_FILENO) != 0 && ::isatty(STDOUT_FILENO) != 0;
  if (!options.prompt.empty()) {
    std::signal(SIGINT, on_interrupt);
    return answer_once(options, chat, options.prompt);
  }
  if (terminal && !options.json) return converse(chat);
  const std::string prompt{std::istreambuf_iterator<char>(std::cin), {}};
  if (prompt.empty()) throw UsageError("no prompt: give one as argument or on standard input");
  std::signal(SIGINT, on_interrupt);
  return answer_once(options, chat, prompt);
}

void add_sampling_options(CLI::App& command, RunOptions& options) {
  SamplingParams& s = options.sampling;
  command.add_option("--temperature", s.temperature, "0: greedy")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command.add_option("--top-k", s.top_k, "0: off")
      ->check(CLI::Range(0, 1 << 26))
      ->capture_default_str();
  command.add_option("--top-p", s.top_p, "1: off")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--min-p", s.min_p, "0: off")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--repetition-penalty", s.repetition_penalty, "1: off")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
  command.add_option_function<std::uint64_t>(
      "--seed", [&options](std::uint64_t seed) { options.seed = seed, options.has_seed = true; },
      "same seed, same answer");
}

}  // namespace

void add_run(CLI::App& app, Command& selected) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Chat in the terminal, or answer one prompt");
  add_model_options(*command, options->model, ModelFlag::positional);
  command->add_option("PROMPT", options->prompt, "answer this and end");
  command->add_option("--system", options->system, "system message");
  command
      ->add_option("-n,--max-tokens", options->max_tokens, "longest answer; -1: up to the context")
      ->check(CLI::Range(-1, 1 << 26))
      ->capture_default_str();
  command->add_option("--ctx", options->context, "context in tokens; 0: the model's own")
      ->check(CLI::Range(0, 1 << 26))
      ->capture_default_str();
  add_speculate_options(*command, options->speculate, options->model);
  command->add_flag("--raw", options->raw, "no chat template: the prompt is continued as it is");
  command->add_flag("--json", options->json, "print one JSON report instead of streaming");
  add_sampling_options(*command, *options);
  command->callback([options, &selected] { selected = [options] { return run_chat(*options); }; });
}

}  // namespace rbee

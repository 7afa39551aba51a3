// serve: the worker. Takes every flag of the worker it replaces, and listens before the model is
// loaded.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "app/chat_framing.hpp"
#include "app/commands.hpp"
#include "app/model_path.hpp"
#include "base/log.hpp"
#include "engine/engine.hpp"
#include "server/server.hpp"

namespace rbee {
namespace {

struct ServeOptions {
  ModelOptions model;
  ServerOptions server;
  EngineOptions engine;
  std::string bind;
  std::string token_file;
  std::string backend;
  std::string hive_url, queen_url;
  int cuda_device = -1, metal_device = -1, rocm_device = -1;
};

bool is_number(const std::string& text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The original's --device is the number of a device of --backend; ours is a name. Both are
// understood.
std::string device_name(const ServeOptions& options) {
  if (options.cuda_device >= 0) return fmt::format("cuda:{}", options.cuda_device);
  if (options.metal_device >= 0) return fmt::format("metal:{}", options.metal_device);
  if (options.rocm_device >= 0) return fmt::format("rocm:{}", options.rocm_device);
  const std::string& device = options.model.device;
  const std::string backend = options.backend.empty() ? "cpu" : options.backend;
  if (is_number(device)) return backend == "cpu" ? "cpu" : backend + ":" + device;
  if (device == "cpu" && backend != "cpu") return backend + ":0";
  return device;
}

void label_device(ServerOptions& server, const std::string& device) {
  const std::size_t colon = device.find(':');
  server.backend = device.substr(0, colon);
  server.device_index = colon == std::string::npos ? 0 : std::atoi(device.c_str() + colon + 1);
  server.device_label = fmt::format("{}:{}", server.backend, server.device_index);
}

std::string read_token(const std::string& path) {
  std::ifstream in(path);
  std::string token;
  if (!std::getline(in, token) || token.empty()) throw UsageError("no token in " + path);
  return token;
}

// Fills in what follows from the flags together.
void complete(ServeOptions& options) {
  ServerOptions& server = options.server;
  if (!options.token_file.empty()) server.token = read_token(options.token_file);
  // With a token the worker is meant to be reached from elsewhere, as the original; without one it
  // stays at home.
  server.bind_address = !options.bind.empty()                       ? options.bind
                        : server.token.empty() || server.local_mode ? "127.0.0.1"
                                                                    : "0.0.0.0";
  server.heartbeat_url = !options.queen_url.empty() ? options.queen_url : options.hive_url;
  if (server.model_ref.empty()) server.model_ref = options.model.model;
  options.model.device = device_name(options);
  label_device(server, options.model.device);
  server.version = RBEE_VERSION;
}

// What is loaded and served, in the order of construction.
struct Serving {
  LoadedModel model, draft;
  std::unique_ptr<Engine> engine;
};

void load_and_serve(const ServeOptions& options, Server& server, Serving& serving) {
  const auto start = std::chrono::steady_clock::now();
  const auto path = resolve_model(options.model.model, cache_roots_from_environment());
  LoadOptions load = load_options(options.model);
  load.context = options.engine.max_context;
  load.step_tokens = options.engine.step_tokens();
  load.progress = [&server](std::size_t done, std::size_t total) {
    server.set_progress(done, total);
  };
  serving.model = load_model(path, load);
  EngineOptions engine_options = options.engine;
  engine_options.n_vocab_valid = serving.model.tokenizer->vocab_size();
  serving.draft = load_draft(options.model, serving.model, engine_options);
  serving.engine =
      std::make_unique<Engine>(*serving.model.backend, *serving.model.model, engine_options,
                               Draft{serving.draft.backend.get(), serving.draft.model.get()});
  const std::string name = model_name(options.model.model, path);
  ChatFraming framing = chat_framing(serving.model);
  server.set_model({.name = name,
                    .aliases = {options.server.model_ref, path.string()},
                    .model = serving.model,
                    .engine = *serving.engine,
                    .chat_template = std::move(framing.chat_template),
                    .chat_stop = std::move(framing.stop)});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  log::info("serving {} on {} after {:.2f} s, context {} tokens", name, server.url(),
            seconds.count(), serving.engine->max_context());
}

int run_serve(ServeOptions options) {
  complete(options);
  Serving serving;
  Server server(options.server);
  log::info("listening on {}{}", server.url(),
            options.server.token.empty() ? ", no token needed" : "");
  std::string failure;
  std::thread loader([&] {
    try {
      load_and_serve(options, server, serving);
    } catch (const std::exception& e) {
      failure = e.what();
      server.set_failed(failure);
      server.leave();
    }
  });
  const int signal = server.run_until_signal();
  loader.join();
  server.stop();
  serving.engine.reset();
  if (!failure.empty()) throw std::runtime_error(failure);
  log::info("stopped by signal {}", signal);
  return 0;
}

void add_identity_options(CLI::App& command, ServeOptions& options) {
  ServerOptions& server = options.server;
  command.add_option("--worker-id", server.worker_id, "what this worker is called")
      ->envname("RBEE_WORKER_ID");
  command.add_option("--model-ref", server.model_ref,
                     "what the model is called in heartbeats; default: as --model");
  command.add_option("--hive-url", options.hive_url, "base URL that heartbeats go to");
  command.add_option("--queen-url", options.queen_url, "the same, of a queen");
  command.add_option("--callback-url", server.callback_url,
                     "URL that is told once when the worker is ready");
  command
      .add_option("--backend", options.backend, "cpu or cuda; together with a number as --device")
      ->envname("RBEE_BACKEND");
  command.add_option("--cuda-device", options.cuda_device, "number of the CUDA device");
  command.add_option("--metal-device", options.metal_device)->group("");
  command.add_option("--rocm-device", options.rocm_device)->group("");
}

void add_network_options(CLI::App& command, ServeOptions& options) {
  ServerOptions& server = options.server;
  command.add_option("--port", server.port, "0: any free one")
      ->envname("RBEE_PORT")
      ->capture_default_str();
  command
      .add_option("--bind", options.bind, "IP address; default: 127.0.0.1, or 0.0.0.0 with a token")
      ->envname("RBEE_BIND");
  command.add_flag("--local-mode", server.local_mode, "loopback only, without a token");
  command.add_option("--token-file", options.token_file,
                     "file with the API token; LLORCH_API_TOKEN holds it too");
  command.add_option("--allow-origin", server.allowed_origins,
                     "browser origin that may read answers; * for any");
  command.add_flag("--legacy-errors", server.tagged_errors_as_text,
                   "errors of tagged bodies as 500 and plain text, as the original worker");
}

void add_engine_options(CLI::App& command, EngineOptions& engine, ModelOptions& model) {
  command.add_option("--ctx", engine.max_context, "longest sequence in tokens; 0: the model's own")
      ->envname("RBEE_CTX")
      ->check(CLI::Range(0, 1 << 26))
      ->capture_default_str();
  command.add_option("--max-sequences", engine.max_sequences, "answers generated at once")
      ->envname("RBEE_MAX_SEQUENCES")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      .add_option("--max-queue", engine.max_queue, "requests waiting; more are refused with 429")
      ->envname("RBEE_MAX_QUEUE")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--batch-tokens", engine.max_batch_tokens, "tokens of one step")
      ->envname("RBEE_BATCH_TOKENS")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  command
      .add_option("--cache-bytes", engine.state_bytes,
                  "memory for the key/value cache; 0: as memory allows")
      ->envname("RBEE_CACHE_BYTES")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  add_speculate_options(command, engine.speculate, model);
}

}  // namespace

void add_serve(CLI::App& app, Command& selected) {
  auto options = std::make_shared<ServeOptions>();
  options->server.port = 8080;
  CLI::App* command =
      app.add_subcommand("serve", "Serve a model over HTTP (also what flags alone mean)");
  add_model_options(*command, options->model, ModelFlag::option);
  add_network_options(*command, *options);
  add_identity_options(*command, *options);
  add_engine_options(*command, options->engine, options->model);
  command->callback([options, &selected] {
    // Not a flag: a token on the command line would show in the process list.
    if (const char* token = std::getenv("LLORCH_API_TOKEN")) options->server.token = token;
    selected = [options] { return run_serve(*options); };
  });
}

}  // namespace rbee

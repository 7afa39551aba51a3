// tokenize: text to ids, ids to text.
#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/commands.hpp"
#include "app/model_path.hpp"
#include "base/json.hpp"
#include "tokenizer/tokenizer.hpp"

namespace rbee {
namespace {

struct TokenizeOptions {
  std::string model = "smollm2:135m";
  bool no_special = false;
  bool decode = false;
  bool jsonl = false;
  bool json = true;
};

std::vector<TokenId> parse_ids(const std::string& text) {
  try {
    return parse_json(text).get<std::vector<TokenId>>();
  } catch (const JsonError&) {
  } catch (const Json::exception&) {
  }
  throw UsageError("expected a JSON array of token ids");
}

// As the library that the files are of does it.
std::vector<TokenId> encode(const Tokenizer& tokenizer, const TokenizeOptions& options,
                            std::string_view text) {
  return tokenizer.encode(text, {.add_special = !options.no_special,
                                 .parse_special = tokenizer.finds_special_in_text()});
}

// One text or one list of ids in, the other out, both as JSON.
std::string convert(const Tokenizer& tokenizer, const TokenizeOptions& options,
                    const std::string& line) {
  if (options.decode) return dump_json(Json(tokenizer.decode(parse_ids(line), options.no_special)));
  const Json json = parse_json(line);
  if (!json.is_string()) throw UsageError("expected a JSON string");
  return dump_json(Json(encode(tokenizer, options, json.get_ref<const std::string&>())));
}

int run_lines(const Tokenizer& tokenizer, const TokenizeOptions& options) {
  std::string line;
  for (int number = 1; std::getline(std::cin, line); ++number) {
    if (line.empty()) continue;
    try {
      std::cout << convert(tokenizer, options, line) << '\n';
    } catch (const std::runtime_error& e) {
      throw UsageError(fmt::format("line {}: {}", number, e.what()));
    }
  }
  return 0;
}

int run_tokenize(const TokenizeOptions& options) {
  std::ios::sync_with_stdio(false);
  const auto tokenizer =
      Tokenizer::open(resolve_model(options.model, cache_roots_from_environment()));
  if (options.jsonl) return run_lines(*tokenizer, options);
  const std::string input{std::istreambuf_iterator<char>(std::cin), {}};
  if (options.decode) {
    std::cout << tokenizer->decode(parse_ids(input), options.no_special);
  } else {
    std::cout << dump_json(Json(encode(*tokenizer, options, input))) << '\n';
  }
  return 0;
}

}  // namespace

void add_tokenize(CLI::App& app, Command& selected) {
  auto options = std::make_shared<TokenizeOptions>();
  CLI::App* command = app.add_subcommand("tokenize", "Text on stdin to token ids, or back");
  command
      ->add_option("-m,--model", options->model, "model, or a directory with tokenizer files only")
      ->envname("RBEE_MODEL")
      ->capture_default_str();
  command->add_flag("--no-special", options->no_special,
                    "add no BOS/EOS; with --decode: leave special tokens out of the text");
  command->add_flag("--decode", options->decode, "ids (a JSON array) on stdin to text");
  command->add_flag("--jsonl", options->jsonl,
                    "each input line is a JSON string, each output line an array of ids (--decode: "
                    "the other way round)");
  command->add_flag("--json", options->json,
                    "accepted for symmetry: ids are always printed as JSON");
  command->callback(
      [options, &selected] { selected = [options] { return run_tokenize(*options); }; });
}

}  // namespace rbee

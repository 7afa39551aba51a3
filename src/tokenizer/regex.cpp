#include "tokenizer/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <array>
#include <stdexcept>

#include "base/load_error.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::size_t kLongestPattern = 64 * 1024;
constexpr std::uint32_t kMatchLimit = 20'000'000;  // about a tenth of a second
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;
constexpr int kMostFailures = 16;  // searches over the limit in one text before giving up
constexpr std::size_t kJitStack = 1024 * 1024;

std::string message_of(int error) {
  std::array<PCRE2_UCHAR, 256> text{};
  if (pcre2_get_error_message(error, text.data(), text.size()) < 0) return "unknown error";
  return reinterpret_cast<const char*>(text.data());
}

}  // namespace

struct Regex::Code {
  pcre2_code* code = nullptr;
  bool jit = false;
  ~Code() { pcre2_code_free(code); }
};

Regex::Regex(std::string_view pattern, const std::string& file, const std::string& field)
    : code_(std::make_unique<Code>()) {
  const auto refuse = [&](const std::string& why) {
    throw LoadError(file, field, "a regular expression that can be compiled",
                    why + ": " + std::string(pattern.substr(0, 200)));
  };
  if (pattern.size() > kLongestPattern) refuse("a pattern of more than 64 KiB");
  std::string translated;
  try {
    translated = to_pcre2(pattern);
  } catch (const std::invalid_argument& error) {
    refuse(error.what());
  }
  const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
      pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_->code = pcre2_compile(
      reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C | PCRE2_NO_UTF_CHECK,
      &error, &offset, context.get());
  if (code_->code == nullptr) refuse(message_of(error));
  code_->jit = pcre2_jit_compile(code_->code, PCRE2_JIT_COMPLETE) == 0;
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

std::size_t Regex::next_character(std::string_view text, std::size_t at) noexcept {
  return at < text.size() ? at + code_point_at(text, at).size : at + 1;
}

struct Regex::Matcher::Data {
  const Code* code = nullptr;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
  int failures = 0;
  ~Data() {
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

Regex::Matcher::Matcher(const Regex& regex) : data_(std::make_unique<Data>()) {
  data_->code = regex.code_.get();
  data_->match = pcre2_match_data_create_from_pattern(data_->code->code, nullptr);
  data_->context = pcre2_match_context_create(nullptr);
  if (data_->match == nullptr || data_->context == nullptr) throw std::bad_alloc();
  pcre2_set_match_limit(data_->context, kMatchLimit);
  pcre2_set_heap_limit(data_->context, kHeapLimitKib);
}

Regex::Matcher::~Matcher() = default;

std::optional<Regex::Match> Regex::Matcher::find(std::string_view text, std::size_t from) {
  Data& data = *data_;
  if (data.failures >= kMostFailures) return std::nullopt;
  const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  int found = PCRE2_ERROR_JIT_STACKLIMIT;
  if (data.code->jit) {
    found = pcre2_jit_match(data.code->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK,
                            data.match, data.context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT && data.stack == nullptr) {
      data.stack = pcre2_jit_stack_create(32 * 1024, kJitStack, nullptr);
      pcre2_jit_stack_assign(data.context, nullptr, data.stack);
      found = pcre2_jit_match(data.code->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK,
                              data.match, data.context);
    }
  }
  if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
    found = pcre2_match(data.code->code, subject, text.size(), from,
                        PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, data.match, data.context);
  }
  if (found < 0) {
    if (found != PCRE2_ERROR_NOMATCH) ++data.failures;
    return std::nullopt;
  }
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.match);
  // \K can move the start of a match anywhere.
  if (range[0] < from || range[1] < range[0] || range[1] > text.size()) return std::nullopt;
  return Match{range[0], range[1]};
}

}  // namespace rbee

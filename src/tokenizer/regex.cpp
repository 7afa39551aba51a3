#include "tokenizer/regex.hpp"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <time.h>

#include <array>
#include <stdexcept>

#include "base/load_error.hpp"
#include "tokenizer/utf8.hpp"

namespace rbee {
namespace {

constexpr std::size_t kLongestPattern = 64 * 1024;
// What all searches in a text may take, by its size: callouts that backtracking passes by, and time
// of this thread. Patterns of real vocabularies stay below a third of the one and a tenth of the
// other.
constexpr std::size_t kStepsPerByte = 48;
constexpr std::size_t kLeastSteps = 100'000;
constexpr double kSecondsPerByte = 2e-6;
constexpr double kLeastSeconds = 1;
constexpr unsigned kSearchesPerClock = 256;
constexpr std::size_t kStepsPerClock = 1024;
constexpr std::uint32_t kHeapLimitKib = 64 * 1024;
constexpr std::size_t kJitStack = 64 * 1024 * 1024;  // reserved when the default does not do

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

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
  std::size_t steps_left = kLeastSteps;
  std::size_t bytes = 0;  // of all texts
  unsigned searches = 0;
  double started = thread_seconds();

  void allow_for(std::size_t size) {
    bytes += size;
    steps_left += size * kStepsPerByte;
  }
  bool out_of_time() const {
    return thread_seconds() - started >
           kLeastSeconds + static_cast<double>(bytes) * kSecondsPerByte;
  }
  static int count_step(pcre2_callout_block*, void* data) {
    auto& self = *static_cast<Data*>(data);
    if (self.steps_left == 0) return PCRE2_ERROR_CALLOUT;  // ends the search
    --self.steps_left;
    if (self.steps_left % kStepsPerClock == 0 && self.out_of_time()) return PCRE2_ERROR_CALLOUT;
    return 0;
  }
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
  pcre2_set_heap_limit(data_->context, kHeapLimitKib);
  pcre2_set_callout(data_->context, &Data::count_step, data_.get());
}

Regex::Matcher::~Matcher() = default;

std::optional<Regex::Match> Regex::Matcher::find(std::string_view text, std::size_t from) {
  Data& data = *data_;
  if (from == 0) data.allow_for(text.size());
  if (data.steps_left == 0) return std::nullopt;
  if (++data.searches % kSearchesPerClock == 0 && data.out_of_time()) {
    data.steps_left = 0;
    return std::nullopt;
  }
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
    if (found != PCRE2_ERROR_NOMATCH) data.steps_left = 0;
    return std::nullopt;
  }
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.match);
  // \K can move the start of a match anywhere.
  if (range[0] < from || range[1] < range[0] || range[1] > text.size()) return std::nullopt;
  return Match{range[0], range[1]};
}

}  // namespace rbee

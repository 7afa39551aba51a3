// Global functions.
#include <algorithm>
#include <cstdio>
#include <limits>

#include "chat/builtins.hpp"
#include "chat/value_ops.hpp"

namespace rbee::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100000;  // the sandbox's own limit

Value global_range(Runtime& runtime, Args& args) {
  if (!args.named.empty()) throw Failure("range() takes no keyword arguments");
  if (args.positional.empty() || args.positional.size() > 3) {
    throw Failure("range expected 1 to 3 arguments");
  }
  const auto integer = [&](std::size_t i) { return require_integer(args.positional[i], "range"); };
  auto range = std::make_shared<Range>();
  range->charge = runtime.charge(sizeof(Range));
  const bool only_stop = args.positional.size() == 1;
  range->start = only_stop ? 0 : integer(0);
  range->stop = integer(only_stop ? 0 : 1);
  range->step = args.positional.size() == 3 ? integer(2) : 1;
  if (range->step == 0) throw Failure("range() arg 3 must not be zero");
  const bool up = range->step > 0;
  if (up ? range->start < range->stop : range->start > range->stop) {
    // Unsigned differences cannot overflow.
    const auto start = static_cast<std::uint64_t>(range->start);
    const auto stop = static_cast<std::uint64_t>(range->stop);
    const auto step = static_cast<std::uint64_t>(range->step);
    const std::uint64_t distance = up ? stop - start : start - stop;
    const std::uint64_t stride = up ? step : 0 - step;
    const std::uint64_t length = (distance - 1) / stride + 1;
    if (length > static_cast<std::uint64_t>(kMaxRange)) {
      throw Failure("Range too big. The sandbox blocks ranges larger than MAX_RANGE (" +
                    std::to_string(kMaxRange) + ").");
    }
    range->length = static_cast<std::size_t>(length);
  }
  return {Kind::range, std::move(range)};
}

// The entries that Python's dict(...) makes of its arguments.
std::vector<Entry> dict_entries(Runtime& runtime, Args& args) {
  if (args.positional.size() > 1) throw Failure("dict expected at most 1 argument");
  std::vector<Entry> entries;
  if (!args.positional.empty()) {
    const Value& source = args.positional[0];
    if (source.is(Kind::dict)) {
      entries = source.as<Dict>().entries;
    } else {
      for (const Value& pair : to_vector(runtime, source)) {
        const std::vector<Value> parts = to_vector(runtime, pair);
        if (parts.size() != 2) {
          throw Failure("dictionary update sequence element has length " +
                        std::to_string(parts.size()) + "; 2 is required");
        }
        entries.emplace_back(parts[0], parts[1]);
      }
    }
  }
  for (auto& [name, value] : args.named) entries.emplace_back(runtime.string(name), value);
  return entries;
}

Value global_dict(Runtime& runtime, Args& args) {
  return runtime.dict(dict_entries(runtime, args));
}

Value global_namespace(Runtime& runtime, Args& args) {
  auto space = std::make_shared<Namespace>();
  space->charge = runtime.charge(sizeof(Namespace));
  const Value attributes = global_dict(runtime, args);
  for (const auto& [key, value] : attributes.as<Dict>().entries) {
    if (!key.is_string()) continue;  // no template could read it
    set_attribute(runtime, *space, key.text(), value);
  }
  runtime.keep(space);
  return {Kind::space, std::move(space)};
}

Value global_cycler(Runtime& runtime, Args& args) {
  if (!args.named.empty()) throw Failure("cycler() takes no keyword arguments");
  if (args.positional.empty()) throw Failure("at least one item has to be provided");
  auto cycler = std::make_shared<Cycler>();
  cycler->charge = runtime.charge(sizeof(Cycler) + args.positional.size() * sizeof(Value));
  cycler->items = args.positional;
  runtime.keep(cycler);
  return {Kind::cycler, std::move(cycler)};
}

Value global_joiner(Runtime& runtime, Args& args) {
  const Parameters given("joiner", args, {"sep"});
  auto joiner = std::make_shared<Joiner>();
  joiner->separator = given.given(0) ? to_text(runtime, *given[0]) : ", ";
  joiner->charge = runtime.charge(sizeof(Joiner) + joiner->separator.size());
  return {Kind::joiner, std::move(joiner)};
}

Value global_raise(Runtime& runtime, Args& args) {
  const Parameters given("raise_exception", args, {"message"}, 1);
  throw Failure(to_text(runtime, *given[0]), true);
}

// %f is Python's own; %z and %Z are empty for a local time without a zone.
std::string expand_python_formats(std::string_view format, const TemplateTime& now) {
  std::string out;
  for (std::size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      out += format[i];
      continue;
    }
    const char c = format[++i];
    if (c == 'f') {
      char digits[16];
      std::snprintf(digits, sizeof digits, "%06d", now.microsecond);
      out += digits;
    } else if (c != 'z' && c != 'Z') {
      out += '%';
      out += c;
    }
  }
  return out;
}

Value global_strftime_now(Runtime& runtime, Args& args) {
  const Parameters given("strftime_now", args, {"format"}, 1);
  const TemplateTime now = runtime.now();
  // The mark tells an empty result from one that does not fit.
  const std::string format =
      expand_python_formats(require_text(*given[0], "strftime_now"), now) + "|";
  constexpr std::size_t kMaxFormat = 4096;
  if (format.size() > kMaxFormat) throw Failure("strftime_now: the format is too long");
  std::string out(64 * kMaxFormat, '\0');
  const std::size_t size = std::strftime(out.data(), out.size(), format.c_str(), &now.local);
  if (size == 0) throw Failure("strftime_now: the text is too long");
  out.resize(size - 1);
  return runtime.string(std::move(out));
}

constexpr std::pair<std::string_view, Function::Call> kGlobals[] = {
    {"range", global_range},
    {"dict", global_dict},
    {"namespace", global_namespace},
    {"cycler", global_cycler},
    {"joiner", global_joiner},
    {"raise_exception", global_raise},
    {"strftime_now", global_strftime_now},
};

}  // namespace

Value find_global(std::string_view name) {
  for (const auto& [known, call] : kGlobals) {
    if (known != name) continue;
    auto function = std::make_shared<Function>();
    function->name = known;
    function->call = call;
    return {Kind::function, std::move(function)};
  }
  return {};
}

void set_attribute(Runtime& runtime, Namespace& space, std::string_view name, const Value& value) {
  if (!name.empty() && name[0] == '_') {
    std::string quoted;
    append_string_repr(quoted, name);
    throw Failure(
        "Chat templates cannot store underscore-prefixed attributes on a namespace, but got " +
        quoted + ". Please rename the attribute.");
  }
  runtime.spend(1 + space.attributes.size() / 8);
  if (Value* known = space.find(name)) {
    *known = value;
  } else {
    runtime.require((space.attributes.size() + 1) * sizeof(Entry));
    space.attributes.emplace_back(std::string(name), value);
  }
}

}  // namespace rbee::jinja

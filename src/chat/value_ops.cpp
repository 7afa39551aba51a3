#include "chat/value_ops.hpp"

#include <algorithm>
#include <cmath>

#include "chat/text_search.hpp"
#include "chat/unicode.hpp"

namespace rbee::jinja {
namespace {

enum class Order { less, equal, greater, none };

// Exact for any pair: a long double holds every 64-bit integer.
Order compare_numbers(const Value& a, const Value& b) {
  if (a.is_integral() && b.is_integral()) {
    if (a.integer() == b.integer()) return Order::equal;
    return a.integer() < b.integer() ? Order::less : Order::greater;
  }
  const auto exact = [](const Value& v) {
    return v.is(Kind::real) ? static_cast<long double>(v.real())
                            : static_cast<long double>(v.integer());
  };
  const long double x = exact(a), y = exact(b);
  if (x == y) return Order::equal;
  if (x < y) return Order::less;
  return x > y ? Order::greater : Order::none;
}

bool equal_dicts(Runtime& runtime, const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  return std::all_of(a.entries.begin(), a.entries.end(), [&](const Entry& entry) {
    const Value* other = b.find(runtime, entry.first);
    return other != nullptr &&
           (identical(entry.second, *other) || equal(runtime, entry.second, *other));
  });
}

bool equal_ranges(const Range& a, const Range& b) {
  if (a.length != b.length) return false;
  return a.length == 0 || (a.start == b.start && (a.length == 1 || a.step == b.step));
}

// Place of a key's kind in key_order; strings last.
int key_rank(const Value& key) {
  switch (key.kind()) {
    case Kind::none:
      return 0;
    case Kind::boolean:
    case Kind::integer:
    case Kind::real:
      return 1;
    case Kind::missing:
    case Kind::undefined:
      return 2;
    case Kind::tuple:
      return 3;
    case Kind::string:
      return 5;
    case Kind::list:
      throw Failure("unhashable type: 'list'");
    case Kind::dict:
      throw Failure("unhashable type: 'dict'");
    case Kind::view:
      throw Failure("unhashable type: 'dict view'");
    default:
      return 4;
  }
}

int sign(bool before, bool after) { return before ? -1 : after ? 1 : 0; }

}  // namespace

void fail_undefined(const Value& value) { throw Failure(value.as<Undefined>().message()); }

bool truthy(const Value& value) {
  std::size_t length = 0;
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
    case Kind::none:
      return false;
    case Kind::boolean:
    case Kind::integer:
      return value.integer() != 0;
    case Kind::real:
      return value.real() != 0;
    default:
      return !length_of(value, length) || length != 0;
  }
}

bool identical(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::none:
      return true;
    case Kind::boolean:
    case Kind::integer:
      return a.integer() == b.integer();
    case Kind::real:
      return a.real() == b.real();
    // Python keeps one object of most short strings; equal text is the nearest to that.
    case Kind::string:
      return a.object() == b.object() || a.text() == b.text();
    default:
      return a.object() == b.object();
  }
}

bool equal(Runtime& runtime, const Value& a, const Value& b) {
  runtime.spend();
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == Order::equal;
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::none:
    case Kind::missing:
    case Kind::undefined:
      return true;
    case Kind::string:
      runtime.spend_bytes(std::min(a.text().size(), b.text().size()));
      return a.text() == b.text();
    case Kind::list:
    case Kind::tuple:
      return std::equal(
          a.items().begin(), a.items().end(), b.items().begin(), b.items().end(),
          [&](const Value& x, const Value& y) { return identical(x, y) || equal(runtime, x, y); });
    case Kind::dict:
      return equal_dicts(runtime, a.as<Dict>(), b.as<Dict>());
    case Kind::range:
      return equal_ranges(a.as<Range>(), b.as<Range>());
    default:
      return a.object() == b.object();
  }
}

bool less(Runtime& runtime, const Value& a, const Value& b) {
  runtime.spend();
  require_defined(a);
  require_defined(b);
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == Order::less;
  if (a.is_string() && b.is_string()) {
    runtime.spend_bytes(std::min(a.text().size(), b.text().size()));
    return a.text() < b.text();  // UTF-8 sorts as code points do
  }
  if (a.is_sequence() && a.kind() == b.kind()) {
    const auto& x = a.items();
    const auto& y = b.items();
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
      if (!identical(x[i], y[i]) && !equal(runtime, x[i], y[i])) return less(runtime, x[i], y[i]);
    }
    return x.size() < y.size();
  }
  throw Failure("'<' not supported between instances of '" + std::string(type_name(a)) + "' and '" +
                std::string(type_name(b)) + "'");
}

bool contains(Runtime& runtime, const Value& container, const Value& item) {
  if (container.is_string()) {
    if (!item.is_string()) {
      require_defined(item);
      throw Failure("'in <string>' requires string as left operand, not " +
                    std::string(type_name(item)));
    }
    spend_search(runtime, container.text(), item.text());
    return find_text(container.text(), item.text()) != std::string_view::npos;
  }
  if (container.is(Kind::dict)) return container.as<Dict>().find(runtime, item) != nullptr;
  const auto items = iterate(runtime, container);
  for (Value candidate; items->next(runtime, candidate);) {
    if (identical(candidate, item) || equal(runtime, candidate, item)) return true;
  }
  return false;
}

int key_order(std::string_view a, std::string_view b) { return a.compare(b); }

int key_order(Runtime& runtime, const Value& a, const Value& b) {
  runtime.spend();
  const int rank = key_rank(a), other = key_rank(b);
  if (rank != other) return rank < other ? -1 : 1;
  switch (rank) {
    case 1: {
      const bool a_nan = std::isnan(a.real()), b_nan = std::isnan(b.real());
      if (a_nan || b_nan) return sign(!a_nan, !b_nan);
      const Order order = compare_numbers(a, b);
      return sign(order == Order::less, order == Order::greater);
    }
    case 3: {
      const auto& x = a.items();
      const auto& y = b.items();
      for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
        if (const int order = key_order(runtime, x[i], y[i]); order != 0) return order;
      }
      return sign(x.size() < y.size(), x.size() > y.size());
    }
    case 4:
      return sign(a.object() < b.object(), b.object() < a.object());
    case 5:
      runtime.spend_bytes(std::min(a.text().size(), b.text().size()));
      return key_order(a.text(), b.text());
    default:
      return 0;
  }
}

bool length_of(const Value& value, std::size_t& length) {
  switch (value.kind()) {
    case Kind::missing:
    case Kind::undefined:
      length = 0;
      return true;
    case Kind::string:
      length = value.string().length;
      return true;
    case Kind::list:
    case Kind::tuple:
      length = value.items().size();
      return true;
    case Kind::dict:
      length = value.as<Dict>().entries.size();
      return true;
    case Kind::view:
      length = value.as<View>().source().entries.size();
      return true;
    case Kind::range:
      length = value.as<Range>().length;
      return true;
    default:
      return false;
  }
}

std::size_t require_length(const Value& value) {
  std::size_t length = 0;
  if (length_of(value, length)) return length;
  throw Failure("object of type '" + std::string(type_name(value)) + "' has no len()");
}

Value escape(Runtime& runtime, const Value& value) {
  if (value.is_string() && value.string().markup) return value;
  const std::string text = to_text(runtime, value);
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return runtime.string(std::move(out), true);
}

}  // namespace rbee::jinja

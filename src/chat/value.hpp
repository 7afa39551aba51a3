// Values of a template: what Python objects are to jinja2. Everything but namespaces, loops and
// iterators is immutable, as in jinja2's immutable sandbox, so values are shared and never copied.
#pragma once
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rbee::jinja {

class Runtime;
class Value;

// What stops a template. ChatTemplate adds the line and throws it on as TemplateError.
class Failure : public std::runtime_error {
 public:
  explicit Failure(const std::string& message, bool raised = false)
      : std::runtime_error(message), raised_(raised) {}
  bool raised_by_template() const noexcept { return raised_; }  // by raise_exception

 private:
  bool raised_;
};

enum class Kind : std::uint8_t {
  missing,  // a variable that was never set; reading one gives undefined
  undefined,
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  dict,
  view,  // dict.keys(), dict.values(), dict.items()
  range,
  iterator,  // one-shot, as Python's generators
  space,     // namespace()
  macro,
  loop,
  function,  // a global function
  method,    // a method bound to its value
  cycler,
  joiner,
};

// Bytes that an object holds of its render's budget; given back when the object dies.
class Charge {
 public:
  Charge() = default;
  Charge(std::size_t& live_bytes, std::size_t bytes) : live_(&live_bytes), bytes_(bytes) {
    *live_ += bytes_;
  }
  Charge(Charge&& other) noexcept
      : live_(std::exchange(other.live_, nullptr)), bytes_(other.bytes_) {}
  Charge& operator=(Charge&& other) noexcept {
    std::swap(live_, other.live_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;
  ~Charge() {
    if (live_ != nullptr) *live_ -= bytes_;
  }

 private:
  std::size_t* live_ = nullptr;
  std::size_t bytes_ = 0;
};

// What a value that is no number points to. depth is the nesting of containers inside it: bounded,
// so that walking or destroying a value cannot exhaust the stack.
struct Object {
  Object() = default;
  virtual ~Object() = default;
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  // Drops what the object refers to; the runtime calls it on objects that may lie in a cycle.
  virtual void clear() {}

  std::size_t depth = 0;
  Charge charge;
};

struct String : Object {
  explicit String(std::string t, bool is_markup = false);
  bool ascii() const { return length == text.size(); }

  std::string text;        // valid UTF-8
  std::size_t length = 0;  // code points
  bool markup = false;     // jinja2's Markup: safe text, what is joined to it gets HTML-escaped
};

class Value {
 public:
  Value() = default;                     // missing
  explicit Value(const void*) = delete;  // a pointer is no boolean
  explicit Value(bool b) : kind_(Kind::boolean) { data_.boolean = b; }
  explicit Value(std::int64_t i) : kind_(Kind::integer) { data_.integer = i; }
  explicit Value(double d) : kind_(Kind::real) { data_.real = d; }
  Value(Kind kind, std::shared_ptr<Object> object) : kind_(kind), object_(std::move(object)) {}
  static Value none() { return {Kind::none, nullptr}; }
  // Text of the template itself or of the caller; not counted in any budget.
  static Value constant(std::string text) {
    return {Kind::string, std::make_shared<String>(std::move(text))};
  }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_string() const { return kind_ == Kind::string; }
  bool is_sequence() const { return kind_ == Kind::list || kind_ == Kind::tuple; }
  bool is_undefined() const { return kind_ == Kind::undefined; }
  bool is_integral() const { return kind_ == Kind::integer || kind_ == Kind::boolean; }
  bool is_number() const { return is_integral() || kind_ == Kind::real; }

  // Precondition of each: the value is of that kind.
  bool boolean() const { return data_.boolean; }
  std::int64_t integer() const {
    return kind_ == Kind::boolean ? std::int64_t{data_.boolean} : data_.integer;
  }
  double real() const { return kind_ == Kind::real ? data_.real : static_cast<double>(integer()); }
  const String& string() const { return as<String>(); }
  std::string_view text() const { return string().text; }
  const std::vector<Value>& items() const;

  template <class T>
  T& as() const {
    assert(object_ != nullptr);
    return static_cast<T&>(*object_);
  }
  const std::shared_ptr<Object>& object() const { return object_; }
  std::size_t depth() const { return object_ ? object_->depth : 0; }

 private:
  Kind kind_ = Kind::missing;
  union {
    bool boolean;
    std::int64_t integer = 0;
    double real;
  } data_;
  std::shared_ptr<Object> object_;
};

std::size_t deepest(const std::vector<Value>& values);  // the largest depth among them

struct Sequence : Object {  // list or tuple
  std::vector<Value> items;
  bool group = false;  // a tuple made by groupby: its items are named grouper and list
};
inline const std::vector<Value>& Value::items() const { return as<Sequence>().items; }

using Entry = std::pair<Value, Value>;

struct Dict : Object {
  // nullptr when there is no such key. A key that cannot be hashed fails.
  const Value* find(Runtime& runtime, const Value& key) const;
  const Value* find(std::string_view key) const;
  // To be called once the entries are in: keeps one entry per key (the first place, the last value)
  // and fills `sorted`.
  void index(Runtime& runtime);

  std::vector<Entry> entries;         // in insertion order, keys unique
  std::vector<std::uint32_t> sorted;  // entries by key order, for dicts of more than a few entries
};

struct Undefined : Object {
  // Why using the value is an error, as jinja2 puts it.
  std::string message() const;

  std::string hint;        // replaces the message below if not empty
  Value name;              // the variable, attribute or element that is not there
  std::string_view owner;  // type of the object that lacks it; empty for a variable
};

struct View : Object {
  enum class What { keys, values, items };
  const Dict& source() const { return dict.as<Dict>(); }

  Value dict;
  What what = What::keys;
};

struct Range : Object {
  std::int64_t at(std::size_t i) const { return start + static_cast<std::int64_t>(i) * step; }

  std::int64_t start = 0, stop = 0, step = 1;
  std::size_t length = 0;
};

struct Iterator : Object {
  // False at the end.
  virtual bool next(Runtime& runtime, Value& out) = 0;
};

struct Namespace : Object {
  void clear() override { attributes.clear(); }
  Value* find(std::string_view name);

  std::vector<std::pair<std::string, Value>> attributes;
};

struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

struct Function : Object {
  using Call = Value (*)(Runtime&, Args&);

  std::string_view name;
  Call call = nullptr;
};

struct Method : Object {
  using Call = Value (*)(Runtime&, const Value& self, Args&);

  Value self;
  std::string_view name;
  Call call = nullptr;
};

struct Cycler : Object {
  void clear() override { items.clear(); }

  std::vector<Value> items;
  std::size_t position = 0;
};

struct Joiner : Object {
  std::string separator;
  bool used = false;
};

// Python's name of the value's type.
std::string_view type_name(const Value& value);

}  // namespace rbee::jinja

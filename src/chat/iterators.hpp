// Iterators that several files make.
#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "chat/runtime.hpp"
#include "chat/value.hpp"

namespace rbee::jinja {

// Walks values that were computed beforehand.
struct ListIterator : Iterator {
  explicit ListIterator(std::vector<Value> v) : values(std::move(v)) {}
  bool next(Runtime& runtime, Value& out) override {
    runtime.spend();
    if (at == values.size()) return false;
    out = values[at++];
    return true;
  }

  std::vector<Value> values;
  std::size_t at = 0;
};

// Computes its values one by one: body(runtime, out) returns false at the end.
template <class Body>
struct Generator : Iterator {
  explicit Generator(Body b) : body(std::move(b)) {}
  bool next(Runtime& runtime, Value& out) override {
    runtime.spend();
    if (finished) return false;
    finished = !body(runtime, out);
    return !finished;
  }

  Body body;
  bool finished = false;
};

// One-shot iterator values. inner_depth: of the deepest value that the body refers to.
template <class Body>
Value make_generator(Runtime& runtime, std::size_t inner_depth, Body body) {
  return runtime.iterator(std::make_shared<Generator<Body>>(std::move(body)), inner_depth);
}
inline Value make_list_iterator(Runtime& runtime, std::vector<Value> values) {
  const std::size_t inner_depth = deepest(values);
  return runtime.iterator(std::make_shared<ListIterator>(std::move(values)), inner_depth);
}

}  // namespace rbee::jinja

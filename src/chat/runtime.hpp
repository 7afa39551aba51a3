// Runtime: the limits and the memory of one render. Values are made here, so that they are counted.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_template.hpp"
#include "chat/value.hpp"

namespace rbee::jinja {

class Runtime {
 public:
  Runtime(const TemplateLimits& limits, TemplateClock clock)
      : limits_(limits), clock_(std::move(clock)) {}
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  // Work done: a step is one evaluation, or touching some dozen bytes. Fails at the limit.
  void spend(std::size_t steps = 1) {
    steps_ += steps;
    if (steps_ > limits_.max_steps) fail_steps();
  }
  void spend_bytes(std::size_t bytes) { spend(1 + bytes / 64); }

  // Memory that is about to be used: fails when it would go over the limit.
  void require(std::size_t bytes) const {
    if (bytes > limits_.max_output_bytes || live_ > limits_.max_output_bytes - bytes) fail_size();
  }
  Charge charge(std::size_t bytes) {
    require(bytes);
    return {live_, bytes};
  }
  std::size_t max_depth() const { return limits_.max_depth; }
  TemplateTime now() const { return clock_(); }

  Value string(std::string text, bool markup = false);
  Value list(std::vector<Value> items);
  Value tuple(std::vector<Value> items);
  Value dict(std::vector<Entry> entries);  // of equal keys the last value wins
  Value undefined(const std::string& hint);
  Value undefined_variable(std::string_view name);
  Value undefined_member(const Value& owner, const Value& name);
  Value unsafe_member(const Value& owner, std::string_view name);
  Value method(const Value& self, std::string_view name, Method::Call call);
  // inner_depth: of the deepest value that the iterator refers to.
  Value iterator(std::shared_ptr<Iterator> iterator, std::size_t inner_depth);

  // Keeps the object to the end of the render and clears it then: for what may lie in a cycle.
  void keep(std::shared_ptr<Object> object);

  // The line being evaluated, for errors.
  std::size_t line = 1;

 private:
  template <class T>
  std::shared_ptr<T> make(std::size_t extra_bytes);
  std::size_t nested_depth(std::size_t inner) const;
  Value sequence(Kind kind, std::vector<Value> items);
  [[noreturn]] void fail_steps() const;
  [[noreturn]] void fail_size() const;

  TemplateLimits limits_;
  TemplateClock clock_;
  std::size_t steps_ = 0;
  std::size_t live_ = 0;
  std::vector<std::shared_ptr<Object>> kept_;
};

}  // namespace rbee::jinja

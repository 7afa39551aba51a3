// Result<T, E>: a value or an error, for paths where failure is ordinary (requests, parsing user
// input). Loading throws LoadError instead (base/load_error.hpp). C++20 has no std::expected.
#pragma once
#include <cassert>
#include <utility>
#include <variant>

namespace rbee {

// Wraps an error so that `return Err{...}` converts to any Result with that error type.
template <class E>
struct Err {
  E error;
};
template <class E>
Err(E) -> Err<E>;

template <class T, class E>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  template <class F>
  Result(Err<F> err) : state_(std::in_place_index<1>, std::move(err.error)) {}

  bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  // Precondition of value(), * and ->: ok(). Precondition of error(): !ok().
  T& value() & { return get(*this); }
  const T& value() const& { return get(*this); }
  T&& value() && { return std::move(get(*this)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const E& error() const& {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }
  E&& error() && {
    assert(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  template <class Self>
  static auto& get(Self& self) {
    assert(self.ok());
    return *std::get_if<0>(&self.state_);
  }
  std::variant<T, E> state_;
};

}  // namespace rbee

// Mixture of experts on the CPU: tokens are grouped by expert, so that each chosen expert's weights
// are read once a step and the others' not at all.
//
// In the first half the panels of all groups form one row of work, divided in proportion to their
// cost; in the second a worker has some output columns and adds the experts to them in ascending
// order. So a token's result depends neither on the other tokens nor on who computes what.
#pragma once
#include <vector>

#include "backend/cpu/products.hpp"
#include "backend/cpu/worker.hpp"
#include "backend/ops.hpp"
#include "backend/product_observer.hpp"
#include "backend/routing.hpp"

namespace rbee::cpu {

class Moe {
 public:
  // observer: null, or one that outlives this.
  Moe(const MatmulKernels& matmul, const VectorKernels& vector, ProductObserver* observer)
      : matmul_(matmul), vector_(vector), observer_(observer) {}

  // acc += moe(x), given the router's logits of x. Takes scratch memory of the worker.
  void run(Worker& worker, const Tensor& acc, const Tensor& x, const Tensor& logits,
           const MoeParams& params);

 private:
  // The tokens that chose an expert: members_[begin, end).
  struct Group {
    const Expert* expert = nullptr;
    int begin = 0, end = 0;
    Activations gate_x{}, up_x{};  // the tokens' rows of x as these weights want them
    Activations down_x{};          // their rows of a(gate · x, up · x)

    int size() const noexcept { return end - begin; }
  };
  struct Member {
    int token;
    float weight;
  };
  // Rows of x to convert: those of the members' tokens, or the members' own.
  enum class Rows : std::uint8_t { of_tokens, of_members };

  std::span<const ExpertChoice> choose(Worker& worker, const Tensor& logits,
                                       const MoeParams& params);
  void group(std::span<const ExpertChoice> choices, const MoeParams& params);
  Range convert(Worker& worker, const Tensor& x, Rows rows, Linear Expert::*weight,
                Activations Group::*form);
  void convert_tile(const Group& group, int tile, const Tensor& x, Rows rows,
                    const Activations& form, float* gathered) const;
  // To the observer, by worker 0.
  void show(Worker& worker, const Tensor& x, Rows rows, Linear Expert::*weight) const;
  bool same_types() const;
  void multiply_first(Worker& worker, const Tensor& out, const MoeParams& params) const;
  void multiply_second(Worker& worker, const Tensor& acc) const;
  void add_columns(Worker& worker, const Group& group, int begin, int end, const Tensor& acc) const;

  const MatmulKernels& matmul_;
  const VectorKernels& vector_;
  ProductObserver* observer_;
  Router router_;
  std::vector<int> ends_;        // of each expert's members
  std::vector<Member> members_;  // ascending by expert, then by token
  std::vector<Group> groups_;
};

}  // namespace rbee::cpu

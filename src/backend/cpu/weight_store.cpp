#include "backend/cpu/weight_store.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <string>

#include "backend/cpu/kernels/pack.hpp"
#include "base/load_error.hpp"

namespace rbee::cpu {
namespace {

// Pieces are mapped this large; memory that nothing is packed into is never taken.
constexpr std::size_t kPiece = std::size_t{1} << 30;
constexpr int kPanelsAtOnce = 4;

static_assert(static_cast<int>(PanelType::f32) == static_cast<int>(DType::f32));
static_assert(static_cast<int>(PanelType::bf16) == static_cast<int>(DType::bf16));
static_assert(static_cast<int>(PanelType::q4_0) == static_cast<int>(DType::q4_0));
static_assert(static_cast<int>(PanelType::q2_0) == static_cast<int>(DType::q2_0));
static_assert(static_cast<int>(PanelType::fp4) == static_cast<int>(DType::fp4));

PanelType panel_type(DType type) noexcept { return static_cast<PanelType>(type); }

[[noreturn]] void fail(const HostMatrix& matrix, const std::string& expected,
                       const std::string& found) {
  throw LoadError("cpu backend", "matrix '" + std::string(matrix.name) + "'", expected, found);
}

void check_shape(const HostMatrix& matrix) {
  const int block = info(matrix.type).block;
  if (matrix.rows < 1 || matrix.cols < 1 || matrix.cols % block != 0) {
    fail(matrix, "rows of whole blocks of " + std::to_string(block),
         std::to_string(matrix.rows) + " rows of " + std::to_string(matrix.cols));
  }
}

void check(const HostMatrix& matrix) {
  check_shape(matrix);
  const std::size_t bytes = static_cast<std::size_t>(matrix.rows) *
                            row_bytes(matrix.type, static_cast<std::size_t>(matrix.cols));
  if (matrix.bytes.size() != bytes) {
    fail(matrix, std::to_string(bytes) + " bytes", std::to_string(matrix.bytes.size()));
  }
}

std::size_t whole_lines(std::size_t bytes) noexcept { return (bytes + 63) / 64 * 64; }

// What planned weights point to.
constexpr std::byte kNoWeight{};

}  // namespace

PanelMatrix panel_matrix(const Weight& weight) noexcept {
  const PanelType type = panel_type(weight.type);
  return {weight.data,  type,          weight.rows, weight.cols, panel_bytes(type, weight.cols),
          weight.scale, weight.in_file};
}

std::size_t packed_matrix_bytes(DType type, int rows, int cols) noexcept {
  return static_cast<std::size_t>(panel_count(rows)) * panel_bytes(panel_type(type), cols);
}

std::byte* WeightStore::take(std::size_t bytes) {
  bytes = whole_lines(bytes);
  if (bytes > rest_.size()) {
    pieces_.emplace_back(std::max(bytes, kPiece), "weights");
    rest_ = pieces_.back().bytes();
  }
  std::byte* data = rest_.data();
  rest_ = rest_.subspan(bytes);
  bytes_ += bytes;
  return data;
}

Weight WeightStore::pack(const HostMatrix& matrix, ThreadPool& pool) {
  check(matrix);
  std::byte* data = take(packed_matrix_bytes(matrix.type, matrix.rows, matrix.cols));
  const int panels = panel_count(matrix.rows);
  std::atomic<int> next{0};
  pool.run([&](int) {
    for (;;) {
      const int begin = next.fetch_add(kPanelsAtOnce, std::memory_order_relaxed);
      if (begin >= panels) return;
      pack_panels(panel_type(matrix.type), matrix.bytes.data(), matrix.rows, matrix.cols, begin,
                  std::min(begin + kPanelsAtOnce, panels), data);
    }
  });
  return {data, matrix.type, matrix.rows, matrix.cols, matrix.scale};
}

Weight WeightStore::pack_vector(std::span<const float> values) {
  std::byte* data = take(values.size_bytes());
  if (!values.empty()) std::memcpy(data, values.data(), values.size_bytes());
  return {data, DType::f32, 1, static_cast<int>(values.size())};
}

Weight WeightStore::refer(const HostMatrix& matrix, bool dry_run) {
  if (dry_run) {
    check_shape(matrix);
  } else {
    check(matrix);
  }
  in_file_ += static_cast<std::size_t>(matrix.rows) *
              row_bytes(matrix.type, static_cast<std::size_t>(matrix.cols));
  Weight weight{dry_run ? &kNoWeight : matrix.bytes.data(), matrix.type, matrix.rows, matrix.cols};
  weight.scale = matrix.scale;
  weight.in_file = true;
  return weight;
}

Weight WeightStore::plan(const HostMatrix& matrix) {
  check_shape(matrix);
  bytes_ += whole_lines(packed_matrix_bytes(matrix.type, matrix.rows, matrix.cols));
  return {&kNoWeight, matrix.type, matrix.rows, matrix.cols};
}

Weight WeightStore::plan_vector(std::span<const float> values) {
  bytes_ += whole_lines(values.size_bytes());
  return {&kNoWeight, DType::f32, 1, static_cast<int>(values.size())};
}

}  // namespace rbee::cpu

#include "model/quantize_on_load.hpp"

#include <array>
#include <string>
#include <utility>

#include "quantize/requantize.hpp"

namespace rbee {

QuantizeOnLoad::QuantizeOnLoad(Quantization quantization, const Checkpoint& checkpoint, int threads)
    : quantization_(std::move(quantization)),
      model_(MixtureModel::read(checkpoint)),
      threads_(threads) {
  model_.importance = quantization_.importance != nullptr;
}

HostMatrix QuantizeOnLoad::replacement(const HostMatrix& matrix, const TensorRequest& request,
                                       int index, std::vector<std::byte>& memory) {
  const std::array<std::int64_t, 2> shape{matrix.rows, matrix.cols};
  std::string name = request.gguf_name();
  if (name.empty()) name = "other.weight";  // GGUF has no name for it: one like most others
  const Mixture mixture = quantization_.mixture;
  const DType type = type_for(mixture, model_, name, shape);
  const auto cols = static_cast<std::size_t>(matrix.cols);
  if (type == DType::f32 || row_bytes(type, cols) >= row_bytes(matrix.type, cols)) return matrix;
  std::span<const float> columns;
  if (model_.importance) columns = quantization_.importance->columns(name, index, cols);
  if (columns.empty()) require_no_importance(mixture, type, name);
  HostMatrix result = matrix;
  result.type = type;
  result.lasting = false;
  if (matrix.bytes.empty()) return result;
  memory = requantize(matrix, type, columns, threads_);
  result.bytes = memory;
  result.scale = 1;
  return result;
}

}  // namespace rbee

#include "convert/tensor_plan.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "base/load_error.hpp"
#include "model/tensor_values.hpp"

namespace rbee {
namespace {

using Shape = std::vector<std::int64_t>;

// All that was asked for under one GGUF name.
struct Group {
  std::string name;
  std::vector<LoggedRequest> requests;
};

std::vector<Group> grouped(const std::vector<LoggedRequest>& requests) {
  std::vector<Group> groups;
  std::map<std::string, std::size_t> places;
  for (const LoggedRequest& request : requests) {
    if (request.gguf.empty()) {
      throw LoadError(request.tensor->file, tensor_field(request.tensor->name),
                      "a tensor that GGUF has a name for", "none that is known");
    }
    const auto [at, added] = places.try_emplace(request.gguf, groups.size());
    if (added) groups.push_back({request.gguf, {}});
    groups[at->second].requests.push_back(request);
  }
  return groups;
}

std::vector<const TensorInfo*> distinct_tensors(const Group& group) {
  std::vector<const TensorInfo*> tensors;
  for (const LoggedRequest& request : group.requests) {
    if (std::ranges::find(tensors, request.tensor) == tensors.end()) {
      tensors.push_back(request.tensor);
    }
  }
  return tensors;
}

class Planner {
 public:
  explicit Planner(const GgufLayout& layout) : layout_(layout) {}

  PlannedTensor plan(const Group& group) const {
    const auto tensors = distinct_tensors(group);
    const LoggedRequest& first = group.requests.front();
    if (first.expert >= 0) return experts(group);
    if (tensors.size() > 1) return stacked_values(group, tensors);
    if (first.heads.heads > 0) return heads(group.name, first);
    if (group.requests.size() > 1) return whole(group.name, *first.tensor);
    if (is_values(group.name, first)) return values(group.name, first);
    return matrix(group.name, first);
  }

 private:
  static bool is_values(const std::string& name, const LoggedRequest& request) {
    return request.rows == 0 || request.tensor->shape.size() == 1 || name.ends_with(".bias");
  }

  PlannedTensor whole(const std::string& name, const TensorInfo& tensor) const {
    return {name, tensor.shape, file_rows(tensor)};
  }

  PlannedTensor experts(const Group& group) const {
    std::vector<RowsPtr> parts;
    for (const LoggedRequest& request : group.requests) {
      parts.push_back(matrix(group.name, request).rows);
    }
    const LoggedRequest& first = group.requests.front();
    return {group.name,
            {static_cast<std::int64_t>(parts.size()), first.rows, first.cols},
            stacked_rows(std::move(parts), first.rows)};
  }

  PlannedTensor stacked_values(const Group& group,
                               const std::vector<const TensorInfo*>& tensors) const {
    const std::int64_t cols = element_count(tensors.front()->shape);
    const auto change = layout_.value_change(group.name);
    auto all = [tensors, change] {
      std::vector<float> values;
      for (const TensorInfo* tensor : tensors) {
        for (const float value : decode(*tensor)) values.push_back(change ? change(value) : value);
      }
      return values;
    };
    Shape shape{static_cast<std::int64_t>(tensors.size()), cols};
    return {group.name, layout_.shape(group.name, shape), computed_rows(std::move(all), cols)};
  }

  // kv_b of latent attention: matrices of all heads, keys with rows for columns.
  PlannedTensor heads(const std::string& name, const LoggedRequest& request) const {
    const HeadRows& part = request.heads;
    const std::int64_t head_rows = part.head_rows, begin = part.begin, rows = request.rows;
    if (part.transpose) {
      return {name,
              {part.heads, request.cols, rows},
              column_rows(*request.tensor, {.matrices = part.heads,
                                            .file_rows = head_rows,
                                            .begin = begin,
                                            .width = rows,
                                            .columns = request.cols})};
    }
    return {name, {part.heads, rows, request.cols}, file_rows(*request.tensor, [=](std::int64_t r) {
              return r / rows * head_rows + begin + r % rows;
            })};
  }

  PlannedTensor values(const std::string& name, const LoggedRequest& request) const {
    const TensorInfo& tensor = *request.tensor;
    const Stored& stored = request.stored;
    const auto change = layout_.value_change(name);
    Shape shape = layout_.shape(name, tensor.shape);
    if (stored.row) shape.back() = request.cols;
    if (layout_.swaps_last_two(name, tensor.shape)) {
      std::swap(shape[shape.size() - 1], shape[shape.size() - 2]);
      return {name, shape,
              column_rows(tensor, {.matrices = tensor.shape[0],
                                   .file_rows = tensor.shape[1],
                                   .width = tensor.shape[1],
                                   .columns = tensor.shape[2]})};
    }
    const auto place = layout_.row_place(name);
    if (!change && !place && !stored.row && stored.add == 0 &&
        shape.back() == tensor.shape.back()) {
      return {name, shape, file_rows(tensor)};
    }
    const auto file_cols = static_cast<std::size_t>(tensor.shape.back());
    const auto cols = static_cast<std::size_t>(shape.back());
    auto all = [&tensor, stored, change, place, file_cols, cols] {
      std::vector<float> values = decode(tensor);
      if (stored.row || place) {
        std::vector<float> picked;
        for (std::size_t i = 0; i < values.size() / file_cols * cols; ++i) {
          const auto in_row = static_cast<std::int64_t>(i % cols);
          const auto from = place ? place(in_row) : stored.row(static_cast<int>(in_row));
          picked.push_back(values[i / cols * file_cols + static_cast<std::size_t>(from)]);
        }
        values = std::move(picked);
      }
      for (float& value : values) value = (change ? change(value) : value) + stored.add;
      return values;
    };
    return {name, shape, computed_rows(std::move(all), shape.back())};
  }

  PlannedTensor matrix(const std::string& name, const LoggedRequest& request) const {
    const TensorInfo& tensor = *request.tensor;
    const Stored& stored = request.stored;
    const std::int64_t rows = request.rows, cols = request.cols;
    const bool many = tensor.shape.size() == 3;
    Shape shape{rows, cols};
    if (many) shape.insert(shape.begin(), tensor.shape[0]);
    if (stored.transposed) {
      Columns columns{.matrices = many ? tensor.shape[0] : 1,
                      .file_rows = cols,
                      .width = cols,
                      .columns = rows};
      if (stored.row)
        columns.pick = [stored](std::int64_t r) {
          return std::int64_t{stored.row(static_cast<int>(r))};
        };
      return {name, shape, column_rows(tensor, std::move(columns))};
    }
    if (stored.row) {
      return {name, shape, file_rows(tensor, [stored, rows](std::int64_t r) {
                return r / rows * stored.file_rows + stored.row(static_cast<int>(r % rows));
              })};
    }
    return {name, layout_.shape(name, shape), file_rows(tensor, layout_.row_place(name))};
  }

  const GgufLayout& layout_;
};

}  // namespace

std::vector<PlannedTensor> plan_tensors(const std::vector<LoggedRequest>& requests,
                                        const GgufLayout& layout) {
  const Planner planner(layout);
  std::vector<PlannedTensor> plan;
  for (const Group& group : grouped(requests)) plan.push_back(planner.plan(group));
  return plan;
}

}  // namespace rbee

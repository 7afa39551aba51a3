#include "convert/convert.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "backend/cpu/cpu_count.hpp"
#include "base/load_error.hpp"
#include "checkpoint/checkpoint.hpp"
#include "convert/importance_plan.hpp"
#include "convert/source_plan.hpp"
#include "convert/type_plan.hpp"
#include "convert/write_tensors.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;

// Tensors that go into one file.
struct Part {
  fs::path path;
  std::size_t begin = 0, end = 0;
};

std::vector<Part> one_part(const fs::path& target, std::size_t tensors) {
  return {{target, 0, tensors}};
}

// name-00001-of-0000N.gguf, each with tensors of about so many bytes.
std::vector<Part> split_parts(const fs::path& target, std::span<const GgufTensorSpec> specs,
                              std::uint64_t bytes) {
  std::vector<Part> parts(1);
  std::uint64_t held = 0;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    if (held > 0 && held + specs[i].bytes() > bytes) {
      parts.push_back({{}, i, i});
      held = 0;
    }
    parts.back().end = i + 1;
    held += specs[i].bytes();
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].path = target.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf",
                                                       target.stem().string(), i + 1, parts.size());
  }
  return parts;
}

void refuse_target(const fs::path& source, const Checkpoint& checkpoint, const Part& part,
                   bool overwrite) {
  std::error_code none;
  if (!fs::exists(part.path, none)) return;
  bool same = fs::equivalent(source, part.path, none);
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    same = same || fs::equivalent(tensor.file, part.path, none);
  }
  if (same) throw LoadError(part.path.string(), "file", "another one than the source", "the same");
  if (!overwrite) {
    throw LoadError(part.path.string(), "file", "none of that name (--force replaces it)", "one");
  }
}

GgufKeys keys_of_part(const GgufKeys& keys, std::size_t part, std::size_t parts,
                      std::size_t tensors) {
  GgufKeys out = part == 0 ? keys : GgufKeys();
  if (parts > 1) {
    out.set("split.no", static_cast<std::uint16_t>(part));
    out.set("split.count", static_cast<std::uint16_t>(parts));
    out.set("split.tensors.count", static_cast<std::int32_t>(tensors));
  }
  return out;
}

std::vector<GgufTensorSpec> specs_of(const SourcePlan& plan, const TypePlan& types) {
  std::vector<GgufTensorSpec> specs;
  for (std::size_t i = 0; i < plan.tensors.size(); ++i) {
    specs.push_back({plan.tensors[i].name, types.types[i], plan.tensors[i].shape});
  }
  return specs;
}

void write_all(const SourcePlan& plan, std::span<const GgufTensorSpec> specs,
               const std::vector<Part>& parts, const ConvertOptions& options,
               ConvertReport& report) {
  std::vector<std::unique_ptr<GgufWriter>> writers;
  std::vector<WriteTask> tasks;
  std::size_t total = 0;
  for (std::size_t p = 0; p < parts.size(); ++p) {
    const auto [path, begin, end] = parts[p];
    const auto own = specs.subspan(begin, end - begin);
    writers.push_back(std::make_unique<GgufWriter>(
        path, keys_of_part(plan.keys, p, parts.size(), specs.size()), own));
    for (std::size_t i = begin; i < end; ++i) {
      tasks.push_back({writers.back().get(), i - begin, specs[i], plan.tensors[i].rows,
                       plan.tensors[i].importance});
      total += specs[i].bytes();
    }
    report.bytes += writers.back()->file_bytes();
  }
  const int threads = options.threads > 0 ? options.threads : cpu::usable_cores();
  write_tensors(tasks, threads, [&](std::size_t bytes) {
    if (options.progress) options.progress(bytes, total);
  });
  for (const auto& writer : writers) writer->sync();
  // The first part last: a set is opened by it.
  for (std::size_t p = parts.size(); p-- > 0;) writers[p]->publish();
  for (const Part& part : parts) report.files.push_back(part.path);
}

}  // namespace

ConvertReport convert(const fs::path& source, const fs::path& target,
                      const ConvertOptions& options) {
  const auto checkpoint = Checkpoint::open(source);
  std::optional<ImportanceMatrix> importance;
  if (!options.importance.empty()) importance = ImportanceMatrix::load(options.importance);
  SourcePlan plan = plan_source(*checkpoint);
  const TypePlan types = plan_types(plan, *checkpoint, options.type, importance.has_value());
  plan_importance(plan, types, importance ? &*importance : nullptr);
  if (types.file_type) plan.keys.set("general.file_type", *types.file_type);
  plan.keys.set("general.quantization_version", std::uint32_t{2});
  const std::vector<GgufTensorSpec> specs = specs_of(plan, types);
  const std::vector<Part> parts = options.split_bytes > 0
                                      ? split_parts(target, specs, options.split_bytes)
                                      : one_part(target, specs.size());
  for (const Part& part : parts) refuse_target(source, *checkpoint, part, options.overwrite);

  ConvertReport report;
  report.architecture = plan.architecture;
  report.type = types.name;
  report.warnings = plan.warnings;
  for (const GgufTensorSpec& spec : specs) {
    ConvertReport::Count& count = report.types[std::string(info(spec.type).name)];
    ++count.tensors;
    count.parameters += static_cast<std::uint64_t>(element_count(spec.shape));
    count.bytes += spec.bytes();
  }
  write_all(plan, specs, parts, options, report);
  return report;
}

}  // namespace rbee

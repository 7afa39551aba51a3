#include "checkpoint/gguf_writer.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <numeric>
#include <system_error>
#include <utility>

#include "checkpoint/gguf_types.hpp"

namespace rbee {
namespace {

constexpr std::size_t kAlignment = 32;  // the format's default

std::size_t aligned(std::size_t n) { return (n + kAlignment - 1) / kAlignment * kAlignment; }

template <class T>
std::string raw(T value) {
  std::string out(sizeof value, '\0');
  std::memcpy(out.data(), &value, sizeof value);
  return out;
}

std::string raw_text(std::string_view text) {
  return raw(std::uint64_t{text.size()}) + std::string(text);
}

std::string raw_type(GgufType type) { return raw(static_cast<std::uint32_t>(type)); }

std::string array_head(GgufType element, std::size_t count) {
  return raw_type(GgufType::array) + raw_type(element) + raw(std::uint64_t{count});
}

template <class T>
std::string array_of(GgufType element, std::span<const T> values) {
  std::string out = array_head(element, values.size());
  out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  return out;
}

std::string header(const GgufKeys& keys, std::span<const GgufTensorSpec> tensors) {
  constexpr std::uint32_t kVersion = 3;
  std::string out = "GGUF" + raw(kVersion) + raw(std::uint64_t{tensors.size()}) +
                    raw(std::uint64_t{keys.size()}) + keys.encoded();
  std::uint64_t offset = 0;
  for (const GgufTensorSpec& tensor : tensors) {
    out += raw_text(tensor.name) + raw(static_cast<std::uint32_t>(tensor.shape.size()));
    for (auto extent = tensor.shape.rbegin(); extent != tensor.shape.rend(); ++extent) {
      out += raw(static_cast<std::uint64_t>(*extent));
    }
    out += raw(gguf_type_id(tensor.type)) + raw(offset);
    offset += aligned(tensor.bytes());
  }
  out.resize(aligned(out.size()), '\0');
  return out;
}

}  // namespace

void GgufKeys::put(std::string_view key, std::string value) {
  const auto [at, added] = places_.try_emplace(std::string(key), entries_.size());
  if (added) entries_.emplace_back();
  entries_[at->second] = raw_text(key) + std::move(value);
}

void GgufKeys::set(std::string_view key, std::uint16_t value) {
  put(key, raw_type(GgufType::u16) + raw(value));
}
void GgufKeys::set(std::string_view key, std::uint32_t value) {
  put(key, raw_type(GgufType::u32) + raw(value));
}
void GgufKeys::set(std::string_view key, std::int32_t value) {
  put(key, raw_type(GgufType::i32) + raw(value));
}
void GgufKeys::set(std::string_view key, float value) {
  put(key, raw_type(GgufType::f32) + raw(value));
}
void GgufKeys::set(std::string_view key, bool value) {
  put(key, raw_type(GgufType::boolean) + raw(static_cast<std::uint8_t>(value)));
}
void GgufKeys::set(std::string_view key, std::string_view text) {
  put(key, raw_type(GgufType::string) + raw_text(text));
}
void GgufKeys::set(std::string_view key, std::span<const std::int32_t> values) {
  put(key, array_of(GgufType::i32, values));
}
void GgufKeys::set(std::string_view key, std::span<const float> values) {
  put(key, array_of(GgufType::f32, values));
}
void GgufKeys::set(std::string_view key, const std::vector<bool>& values) {
  std::string out = array_head(GgufType::boolean, values.size());
  for (const bool value : values) out += raw(static_cast<std::uint8_t>(value));
  put(key, std::move(out));
}
void GgufKeys::set(std::string_view key, std::span<const std::string> texts) {
  std::string out = array_head(GgufType::string, texts.size());
  for (const std::string& text : texts) out += raw_text(text);
  put(key, std::move(out));
}

void GgufKeys::copy(const GgufEntry& entry) {
  std::string value =
      entry.is_array ? array_head(entry.element, entry.count) : raw_type(entry.element);
  value.append(reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size());
  put(entry.key, std::move(value));
}

void GgufKeys::erase(std::string_view key) {
  const auto at = places_.find(std::string(key));
  if (at == places_.end()) return;
  entries_[at->second].clear();
  places_.erase(at);
}

std::string GgufKeys::encoded() const {
  return std::accumulate(entries_.begin(), entries_.end(), std::string());
}

std::int64_t GgufTensorSpec::rows() const {
  return element_count(std::span(shape).first(shape.size() - 1));
}

std::size_t GgufTensorSpec::row_bytes() const {
  return rbee::row_bytes(type, static_cast<std::size_t>(shape.back()));
}

GgufWriter::GgufWriter(std::filesystem::path path, const GgufKeys& keys,
                       std::span<const GgufTensorSpec> tensors)
    : path_(std::move(path)), partial_(path_.string() + ".partial") {
  const std::string head = header(keys, tensors);
  size_ = head.size();
  for (const GgufTensorSpec& tensor : tensors) {
    offsets_.push_back(size_);
    size_ += aligned(tensor.bytes());
  }
  file_ = ::open(partial_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file_ < 0) fail("cannot create");
  try {
    // A full disk is better found before hours of work. File systems that cannot reserve say so.
    if (::fallocate(file_, 0, 0, static_cast<off_t>(size_)) != 0 && errno == ENOSPC) {
      fail("cannot reserve the space");
    }
    if (::ftruncate(file_, static_cast<off_t>(size_)) != 0) fail("cannot write");
    write_at(0, std::as_bytes(std::span(head)));
  } catch (...) {
    ::close(file_);
    ::unlink(partial_.c_str());
    throw;
  }
}

GgufWriter::~GgufWriter() {
  ::close(file_);
  if (!published_) ::unlink(partial_.c_str());
}

void GgufWriter::write(std::size_t i, std::size_t offset, std::span<const std::byte> bytes) const {
  write_at(offsets_[i] + offset, bytes);
}

void GgufWriter::write_at(std::size_t offset, std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail("cannot write");
    offset += static_cast<std::size_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

void GgufWriter::sync() const {
  if (::fsync(file_) != 0) fail("cannot write");
}

void GgufWriter::publish() {
  if (::rename(partial_.c_str(), path_.c_str()) != 0) fail("cannot rename");
  published_ = true;
}

void GgufWriter::fail(const char* what) const {
  throw std::system_error(errno, std::generic_category(),
                          fmt::format("{}: {}", partial_.string(), what));
}

}  // namespace rbee

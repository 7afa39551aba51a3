// Loader: the only door from a checkpoint to weights. Every request states the shape it expects.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "backend/backend.hpp"
#include "checkpoint/checkpoint.hpp"

namespace rbee {

// A tensor name in both spellings, without the optional "model." prefix on the HF side (the loader
// tries the prefixes that checkpoints use); several spellings are separated by '|'. "{}" is the
// layer number.
struct Name {
  std::string_view hf;
  std::string_view gguf;
};

// How a tensor in the file differs from the weight that is made of it. The weight has rows of a
// matrix, or elements of a vector.
struct Stored {
  // The row of the file that row r of the weight is; none: all of them in order. Whole rows move,
  // so any type will do. Asked only after the tensor was found to have file_rows rows.
  std::function<int(int r)> row{};
  int file_rows = 0;        // with `row` only
  bool transposed = false;  // the file has [cols, rows] (a matrix of a plain float type)
  float add = 0;            // to each value (a vector)

  // The rows from begin on, of file_rows.
  static Stored range(int file_rows, int begin);
  // Rows first, first + step, ... of file_rows.
  static Stored every(int file_rows, int first, int step);
};

// Which rows of a tensor [heads, head_rows, cols], or [heads * head_rows, cols], make the matrices
// of its heads.
struct HeadRows {
  int heads = 0;
  int head_rows = 0;
  int begin = 0;           // of each head's rows
  int rows = 0;            // 0: to the last
  bool transpose = false;  // the matrix is [cols, rows]; one of a quantised type becomes f32
};

// One tensor that a family asks for, and how it is made of what the file has. The spellings and the
// tensor are valid during the call.
struct TensorRequest {
  Name name;
  int layer = -1;
  const TensorInfo& tensor;
  // The weight's; 0: values in the file's own shape.
  int rows = 0, cols = 0;
  Stored stored{};
  HeadRows heads{};  // heads.heads > 0: a matrix of each head
  int expert = -1;   // of a tensor of one expert

  // The tensor of a GGUF file that holds this, whatever the format it is read from:
  // "blk.0.attn_q.weight". Empty where GGUF has no such tensor.
  std::string gguf_name() const;
};

// Sees what a family asks for, and every matrix on its way from a checkpoint into a backend.
class LoadObserver {
 public:
  virtual ~LoadObserver() = default;
  // The tensor was found.
  virtual void asked(const TensorRequest& /*request*/) {}
  // What is to be packed instead of a matrix, of the same shape; memory is for its bytes. index: of
  // an expert or a head, -1 where the tensor is one matrix. In a dry run bytes are empty and only
  // the type counts. Not called for what must stay f32.
  virtual HostMatrix replacement(const HostMatrix& matrix, const TensorRequest& /*request*/,
                                 int /*index*/, std::vector<std::byte>& /*memory*/) {
    return matrix;
  }
  virtual void packed(const Weight& /*weight*/, const TensorRequest& /*request*/, int /*index*/) {}
};

class Loader {
 public:
  // backend == nullptr: a dry run that checks names and shapes and counts bytes, but packs nothing.
  // planned_context: see below.
  Loader(const Checkpoint& checkpoint, Backend* backend, int planned_context = 0);

  const Checkpoint& checkpoint() const { return checkpoint_; }
  // Tokens of the longest sequence the model is loaded for; 0: as many as it was made for. For
  // models that are rotated in another way when sequences may get long.
  int planned_context() const { return planned_context_; }

  // rows, cols and size are those of the weight. Throw LoadError (file, tensor, expected, found)
  // when the tensor is missing, its shape differs, or its type cannot be transposed.
  Weight matrix(const Name& name, int rows, int cols, int layer = -1, const Stored& stored = {});
  Weight vector(const Name& name, int size, int layer = -1, const Stored& stored = {});
  // As above, or an absent Weight when there is no such tensor.
  Weight maybe_matrix(const Name& name, int rows, int cols, int layer = -1,
                      const Stored& stored = {});
  Weight maybe_vector(const Name& name, int size, int layer = -1, const Stored& stored = {});
  // A matrix that is held in f32 whatever its type: a router, whose rounding would choose other
  // experts. One of a single row may be a vector in the file.
  Weight f32_matrix(const Name& name, int rows, int cols, int layer = -1);
  // Matrices [rows, cols], and vectors [size], of n experts. A spelling with "{x}" names a tensor
  // of each expert x, one without it a tensor of all, [n, ...]; stored speaks of each expert's
  // part. Throw as matrix does; the second gives none when there is no such tensor.
  std::vector<Weight> experts(const Name& name, int n, int rows, int cols, int layer,
                              const Stored& stored = {});
  std::vector<Weight> maybe_expert_vectors(const Name& name, int n, int size, int layer,
                                           const Stored& stored = {});
  // A matrix [rows, cols] of each head. Throws as matrix does.
  std::vector<Weight> head_matrices(const Name& name, const HeadRows& part, int cols, int layer);
  // Counts a tensor, if there is one, as asked for: one that is not needed here.
  void skip(const Name& name, int layer = -1);
  // Whether there is such a tensor; does not count as asking for it.
  bool has(const Name& name, int layer = -1) const;
  // The shape of a tensor in the file, empty when there is none; does not count as asking for it.
  std::vector<std::int64_t> shape(const Name& name, int layer = -1) const;
  // A vector computed by the family (rotary frequencies, say).
  Weight constant(std::span<const float> values);
  // The same for a matrix [rows, cols].
  Weight constant_matrix(std::span<const float> values, int rows, int cols);
  // Host values of a small tensor (rope_freqs, say); empty when there is none.
  std::vector<float> values(const Name& name, int layer = -1);
  // Host values of a tensor of this shape. Throws as matrix does.
  std::vector<float> values(const Name& name, std::span<const std::int64_t> shape, int layer = -1);
  // Host values of a tensor of count elements, whose shape formats write in several ways ([1, 1, C]
  // for [C], say). Throws as matrix does.
  std::vector<float> flat_values(const Name& name, std::size_t count, int layer = -1);

  // Called with (bytes read, bytes to read in all) after each tensor.
  void on_progress(std::function<void(std::size_t, std::size_t)> callback);

  // Observers are called in the order of these calls, and must outlive the build.
  void observe(LoadObserver& observer) { observers_.push_back(&observer); }

  // After the build: throws LoadError naming tensors that nobody asked for, except those that every
  // loader ignores (rotary_emb.inv_freq, attention masks, ...).
  void check_all_used() const;

  std::size_t parameters() const { return parameters_; }      // elements of all tensors asked for
  std::size_t packed_bytes() const { return packed_bytes_; }  // what they take in the backend
  // Bytes of the largest matrix that was, or in a dry run would be, copied to be packed.
  std::size_t largest_copy() const { return largest_copy_; }

 private:
  // Whether matrices are read: not in a dry run.
  bool reads() const { return backend_ != nullptr && !backend_->dry_run(); }
  const TensorInfo* find(const Name& name, int layer) const;
  const TensorInfo* use(const Name& name, int layer);
  void tell(const TensorRequest& request) const;
  Weight pack_matrix(const TensorRequest& request);
  std::vector<Weight> pack_experts(const TensorRequest& request, int n);
  // A matrix, or the next of several, of a request: as it is in the file, or as the weight.
  Weight pack_stored(std::span<const std::byte> file, const TensorRequest& request, int index);
  Weight pack(const HostMatrix& matrix, const TensorRequest& request, int index);
  Weight pack_as_it_is(const HostMatrix& matrix);
  void count_copies(const HostMatrix& matrix, bool copied, const HostMatrix& packed);
  void report_progress() const;
  [[noreturn]] void missing(const Name& name, int layer, const std::string& expected) const;

  const Checkpoint& checkpoint_;
  Backend* backend_;
  int planned_context_;
  std::function<void(std::size_t, std::size_t)> progress_;
  std::vector<LoadObserver*> observers_;
  std::set<std::string, std::less<>> used_;
  std::size_t parameters_ = 0;
  std::size_t packed_bytes_ = 0;
  std::size_t largest_copy_ = 0;
  std::size_t used_bytes_ = 0;   // file bytes of the tensors asked for so far
  std::size_t total_bytes_ = 0;  // file bytes of all tensors that are not ignored
};

}  // namespace rbee

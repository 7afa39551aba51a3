#include "model/make_backend.hpp"

#include <string>

#include "backend/cpu/cpu_backend.hpp"
#include "backend/ref/ref_backend.hpp"
#include "base/load_error.hpp"
#include "checkpoint/describe.hpp"

namespace rbee {

std::unique_ptr<Backend> make_backend(std::string_view device, const BackendOptions& options) {
  if (device == "ref") return std::make_unique<RefBackend>(options);
  if (device == "cpu") {
    try {
      return std::make_unique<CpuBackend>(options);
    } catch (const BackendError& error) {
      throw LoadError("device cpu", "options", "a processor that has them", error.what());
    }
  }
  const bool cuda = device == "cuda" || device.starts_with("cuda:");
  throw LoadError("command line", "device", "cpu or ref",
                  in_quotes(device) + (cuda ? ", which is not built in" : ""));
}

}  // namespace rbee

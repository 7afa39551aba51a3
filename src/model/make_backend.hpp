// The only place that knows which backends are built in.
#pragma once
#include <memory>
#include <string_view>

#include "backend/backend.hpp"

namespace rbee {

// device: "cpu", "ref", or "cuda[:n]" where built in. Throws LoadError naming the devices that are.
std::unique_ptr<Backend> make_backend(std::string_view device, const BackendOptions& options);

}  // namespace rbee

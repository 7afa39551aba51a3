#include "app/model_path.hpp"

#include <algorithm>
#include <cstdlib>
#include <regex>
#include <vector>

#include "base/load_error.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;

fs::path cache_home() {
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != '\0') return xdg;
  const char* home = std::getenv("HOME");
  return fs::path(home != nullptr ? home : "/") / ".cache";
}

bool is_safe_part(std::string_view part) {
  return !part.empty() && part.front() != '.' && part.size() <= 96 &&
         std::all_of(part.begin(), part.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '-' || c == '_' || c == ':';
         });
}

// The model inside a cache folder, or nullopt when the folder holds none.
std::optional<fs::path> model_inside(const fs::path& folder) {
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored)) return std::nullopt;
  if (fs::exists(folder / "config.json", ignored)) return folder;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".gguf") files.push_back(entry.path());
  }
  if (files.empty()) return std::nullopt;
  std::sort(files.begin(), files.end());  // the first part of a split set comes first
  return files.front();
}

}  // namespace

CacheRoots cache_roots_from_environment() {
  const fs::path home = cache_home();
  return {home / "llm-worker-rbee" / "models", home / "rbee" / "models"};
}

std::optional<fs::path> cache_folder(std::string_view model) {
  fs::path folder;
  std::size_t parts = 0;
  while (true) {
    const std::size_t slash = model.find('/');
    const std::string_view part = model.substr(0, slash);
    if (!is_safe_part(part) || ++parts > 2) return std::nullopt;
    std::string name(part);
    std::replace(name.begin(), name.end(), ':', '-');
    folder /= name;
    if (slash == std::string_view::npos) return folder;
    model.remove_prefix(slash + 1);
  }
}

fs::path resolve_model(std::string_view model, const CacheRoots& roots) {
  fs::path direct(model);
  std::error_code ignored;
  if (!model.empty() && fs::exists(direct, ignored)) return direct;
  if (const auto folder = cache_folder(model)) {
    for (const fs::path& root : {roots.own, roots.hive}) {
      if (auto found = model_inside(root / *folder)) return *found;
    }
  }
  const std::string hint =
      model == "smollm2:135m" ? "; scripts/fetch_model.sh fetches this one" : "";
  throw LoadError(std::string(model), "model",
                  "a .gguf file, a safetensors directory, or the name of a model in " +
                      roots.own.string() + " or " + roots.hive.string(),
                  "nothing of that name" + hint);
}

std::string model_name(std::string_view model, const fs::path& path) {
  if (fs::path(model) != path) return std::string(model);
  fs::path clean = path.lexically_normal();
  if (!clean.has_filename()) clean = clean.parent_path();
  if (clean.extension() != ".gguf" && clean.extension() != ".safetensors") return clean.filename();
  static const std::regex kSplit("-[0-9]{5}-of-[0-9]{5}$");
  return std::regex_replace(clean.stem().string(), kSplit, "");
}

}  // namespace rbee

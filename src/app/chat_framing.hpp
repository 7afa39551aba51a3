// How a model's conversations become prompts: its own chat template, or else a known framing.
#pragma once
#include <string>
#include <vector>

#include "chat/chat_template.hpp"
#include "engine/load_model.hpp"

namespace rbee {

struct ChatFraming {
  ChatTemplate chat_template;
  std::vector<std::string> stop;  // texts that end an answer, besides the end tokens
};

// Logs what it falls back to, and why.
ChatFraming chat_framing(const LoadedModel& model);

}  // namespace rbee

// The framings for models without a template, against what the templates of their families print.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "chat/chat_template.hpp"
#include "chat/fallback_templates.hpp"

namespace rbee {
namespace {

Json messages() {
  return {
      {{"role", "system"}, {"content", "Be brief."}},
      {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "Hi"}}, {{"type", "image"}}}}},
      {{"role", "assistant"}, {"content", "Hello!"}},
      {{"role", "user"}, {"content", "Bye"}}};
}

std::string render(const std::string& source, const Json& conversation) {
  return ChatTemplate(source).render({{"messages", conversation},
                                      {"add_generation_prompt", true},
                                      {"bos_token", "<s>"},
                                      {"eos_token", "</s>"}});
}

struct Case {
  const char* architecture;
  std::vector<std::string> tokens;
  const char* ggml_name;
  const char* expected;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> kCases = {
      {"Qwen2ForCausalLM",
       {"<|im_start|>", "<|im_end|>"},
       "chatml",
       "<|im_start|>system\nBe "
       "brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
       "Hello!<|im_end|>\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n"},
      {"phi3",
       {"<|im_start|>", "<|im_sep|>", "<|im_end|>"},
       "phi4",
       "<|im_start|>system<|im_sep|>Be brief.<|im_end|><|im_start|>user<|im_sep|>Hi<|im_end|>"
       "<|im_start|>assistant<|im_sep|>Hello!<|im_end|><|im_start|>user<|im_sep|>Bye<|im_end|>"
       "<|im_start|>assistant<|im_sep|>"},
      {"GptOssForCausalLM",
       {"<|start|>", "<|message|>", "<|channel|>", "<|end|>"},
       "gpt-oss",
       "<|start|>developer<|message|># Instructions\n\nBe "
       "brief.<|end|><|start|>user<|message|>Hi<|end|>"
       "<|start|>assistant<|channel|>final<|message|>Hello!<|end|><|start|>user<|message|>Bye<|end|"
       ">"
       "<|start|>assistant"},
      {"LlamaForCausalLM",
       {"<s>", "<|start_header_id|>", "<|eot_id|>"},
       "llama3",
       "<s><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
       "<|end_header_id|>\n\nHi<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nHello!<|"
       "eot_id|>"
       "<|start_header_id|>user<|end_header_id|>\n\nBye<|eot_id|><|start_header_id|>assistant"
       "<|end_header_id|>\n\n"},
      {"DeepseekV3ForCausalLM",
       {"<|im_user|>", "<|im_middle|>", "<|im_end|>"},
       "kimi-k2",
       "<|im_system|>system<|im_middle|>Be brief.<|im_end|><|im_user|>user<|im_middle|>Hi<|im_end|>"
       "<|im_assistant|>assistant<|im_middle|>Hello!<|im_end|><|im_user|>user<|im_middle|>Bye<|im_"
       "end|>"
       "<|im_assistant|>assistant<|im_middle|>"},
      {"Gemma2ForCausalLM",
       {"<start_of_turn>", "<end_of_turn>"},
       "gemma",
       "<s><start_of_turn>user\nBe "
       "brief.\n\nHi<end_of_turn>\n<start_of_turn>model\nHello!<end_of_turn>\n"
       "<start_of_turn>user\nBye<end_of_turn>\n<start_of_turn>model\n"},
      {"deepseek2",
       {"<｜User｜>", "<｜Assistant｜>"},
       "deepseek3",
       "<s>Be brief.<｜User｜>Hi<｜Assistant｜>Hello!</s><｜User｜>Bye<｜Assistant｜>"},
      {"Phi3ForCausalLM",
       {"<s>", "<|user|>", "<|assistant|>", "<|end|>"},
       "phi3",
       "<|system|>\nBe "
       "brief.<|end|>\n<|user|>\nHi<|end|>\n<|assistant|>\nHello!<|end|>\n<|user|>\nBye"
       "<|end|>\n<|assistant|>\n"},
      {"StableLmForCausalLM",
       {"<|endoftext|>"},
       "zephyr",
       "<|system|>\nBe brief.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello!</s>\n<|user|>\nBye</s>\n"
       "<|assistant|>\n"},
      {"MixtralForCausalLM",
       {"<s>"},
       "mistral-v1",
       "<s>[INST] Be brief.\n\nHi [/INST] Hello!</s>[INST] Bye [/INST]"},
      {"llama",
       {"<s>"},
       "llama2-sys",
       "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello! </s><s>[INST] Bye [/INST]"},
      {"Rwkv6ForCausalLM",
       {},
       "rwkv-world",
       "System: Be brief.\n\nUser: Hi\n\nAssistant: Hello!\n\nUser: Bye\n\nAssistant:"},
  };
  return kCases;
}

TEST(FallbackTemplates, FrameAsTheFamiliesDo) {
  for (const Case& one : cases()) {
    const FallbackTemplate found = fallback_template(one.architecture, [&](std::string_view token) {
      return std::ranges::find(one.tokens, token) != one.tokens.end();
    });
    EXPECT_EQ(render(found.source, messages()), one.expected) << one.ggml_name;
    EXPECT_EQ(named_template(one.ggml_name).name, found.name);
  }
}

TEST(FallbackTemplates, BaseModelsGetParagraphs) {
  const auto none = [](std::string_view) { return false; };
  for (const char* architecture : {"GPT2LMHeadModel", "starcoder2", "MambaForCausalLM", "llama"}) {
    const FallbackTemplate found = fallback_template(architecture, none);
    EXPECT_EQ(found.name, "plain paragraphs") << architecture;
    EXPECT_EQ(found.stop, std::vector<std::string>{"\n\nUser:"});
  }
}

TEST(FallbackTemplates, OnlyRwkvEndsAnswersByText) {
  EXPECT_EQ(chat_stop_texts("rwkv7"), std::vector<std::string>{"\n\nUser:"});
  EXPECT_EQ(chat_stop_texts("RWKV7ForCausalLM"), std::vector<std::string>{"\n\nUser:"});
  EXPECT_TRUE(chat_stop_texts("LlamaForCausalLM").empty());
}

TEST(FallbackTemplates, OnlyNamesAreNames) {
  EXPECT_TRUE(named_template("").source.empty());
  EXPECT_TRUE(named_template("{{ messages }}").source.empty());
}

}  // namespace
}  // namespace rbee

#include "server/openai_reply.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "server/api_error.hpp"
#include "server/openai_format.hpp"
#include "server/sse.hpp"

namespace rbee {
namespace {

// A generation that ended without an answer: what to tell the client.
struct Fault {
  int status = 500;
  std::string message;
};

std::optional<Fault> fault_of(const Finish& finish) {
  if (finish.reason == FinishReason::error) return Fault{500, finish.error};
  if (finish.reason == FinishReason::cancelled) return Fault{503, "the worker is shutting down"};
  return std::nullopt;
}

// What both kinds of answers share: waking, stopping, counting.
class AnswerExchange : public Exchange {
 public:
  explicit AnswerExchange(Answer answer) : answer_(std::move(answer)) {}

  void on_wake(std::function<void()> wake) override {
    for (Choice& choice : answer_.choices) choice.stream->tokens().on_ready(wake);
  }
  void shut_down() override { stopping_ = true; }

 protected:
  Json envelope(std::string_view object) const {
    return {{"id", answer_.id},
            {"object", object},
            {"created", answer_.created},
            {"model", answer_.model},
            {"system_fingerprint", nullptr}};
  }
  Json logprobs_of(const std::vector<TokenEvent>& tokens, std::size_t& text_offset) const {
    if (!answer_.logprobs) return nullptr;
    return answer_.chat ? chat_logprobs(tokens, *answer_.tokenizer)
                        : legacy_logprobs(tokens, *answer_.tokenizer, text_offset);
  }
  std::string_view object(bool chunk) const {
    if (!answer_.chat) return "text_completion";
    return chunk ? "chat.completion.chunk" : "chat.completion";
  }

  Answer answer_;
  bool stopping_ = false;
};

class WholeAnswer final : public AnswerExchange {
 public:
  explicit WholeAnswer(Answer answer)
      : AnswerExchange(std::move(answer)), parts_(answer_.choices.size()) {
    for (std::size_t i = 0; i < parts_.size(); ++i) parts_[i].text = answer_.choices[i].echo;
  }

  void poll(Output& out) override {
    if (stopping_) return fail(out, {503, "the worker is shutting down"});
    bool complete = true;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      TextStream& stream = *answer_.choices[i].stream;
      while (auto piece = stream.try_next()) {
        parts_[i].text += piece->text;
        if (!answer_.logprobs) continue;
        parts_[i].tokens.insert(parts_[i].tokens.end(),
                                std::make_move_iterator(piece->tokens.begin()),
                                std::make_move_iterator(piece->tokens.end()));
      }
      if (!stream.finished()) {
        complete = false;
      } else if (auto fault = fault_of(*stream.finished())) {
        return fail(out, *fault);
      }
    }
    if (!complete) return;
    out.head = json_response(200, body());
    out.whole = out.end = true;
  }

 private:
  struct Part {
    std::string text;
    std::vector<TokenEvent> tokens;
  };

  static void fail(Output& out, const Fault& fault) {
    out.head = openai_error(fault.status, fault.message);
    out.whole = out.end = true;
  }

  Json body() const {
    Json choices = Json::array();
    int completion_tokens = 0;
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      const Finish& finish = *answer_.choices[i].stream->finished();
      completion_tokens += finish.completion_tokens;
      Json choice = {{"index", i}};
      if (answer_.chat) {
        choice["message"] = {{"role", "assistant"}, {"content", parts_[i].text}};
      } else {
        choice["text"] = parts_[i].text;
      }
      std::size_t text_offset = 0;
      choice["logprobs"] = logprobs_of(parts_[i].tokens, text_offset);
      choice["finish_reason"] = finish_reason(finish.reason);
      choices.push_back(std::move(choice));
    }
    Json result = envelope(object(false));
    result["choices"] = std::move(choices);
    result["usage"] = usage(answer_.prompt_tokens, completion_tokens);
    return result;
  }

  std::vector<Part> parts_;
};

class StreamedAnswer final : public AnswerExchange {
 public:
  explicit StreamedAnswer(Answer answer)
      : AnswerExchange(std::move(answer)), states_(answer_.choices.size()) {}

  void poll(Output& out) override {
    if (stopping_) return fail(out, {503, "the worker is shutting down"});
    for (std::size_t i = 0; i < states_.size() && !out.end; ++i) poll_choice(out, i);
    if (out.end || n_finished_ < states_.size()) return;
    if (answer_.include_usage) {
      Json last = envelope(object(true));
      last["choices"] = Json::array();
      last["usage"] = usage(answer_.prompt_tokens, completion_tokens_);
      append_sse(out.body, last);
    }
    out.body += kSseDone;
    out.end = true;
  }

  std::chrono::milliseconds keep_alive_interval() const override { return answer_.keep_alive; }
  void keep_alive(Output& out) override {
    begin(out);
    out.body += kSseComment;
  }

 private:
  struct State {
    bool opened = false;  // the chunk with the role, or the echo, is out
    bool finished = false;
    std::size_t text_offset = 0;
  };

  // Until something is known to come, a fault still has a status of its own.
  void begin(Output& out) {
    if (!begun_) out.head = sse_head();
    begun_ = true;
  }

  void fail(Output& out, const Fault& fault) {
    if (!begun_) {
      out = Output{};
      out.head = openai_error(fault.status, fault.message);
      out.whole = true;
    } else {
      append_sse(out.body, openai_error_body(fault.status, fault.message));
      out.close = true;  // and no [DONE]
    }
    out.end = true;
  }

  void poll_choice(Output& out, std::size_t i) {
    State& state = states_[i];
    if (state.finished) return;
    TextStream& stream = *answer_.choices[i].stream;
    while (auto piece = stream.try_next()) {
      if (piece->text.empty() && (!answer_.logprobs || piece->tokens.empty())) continue;
      open(out, i);
      send(out, i, text_part(piece->text), logprobs_of(piece->tokens, state.text_offset), nullptr);
    }
    if (!stream.finished()) return;
    if (auto fault = fault_of(*stream.finished())) return fail(out, *fault);
    open(out, i);
    send(out, i, answer_.chat ? Json::object() : Json(""), nullptr,
         finish_reason(stream.finished()->reason));
    completion_tokens_ += stream.finished()->completion_tokens;
    state.finished = true;
    ++n_finished_;
  }

  void open(Output& out, std::size_t i) {
    begin(out);
    if (std::exchange(states_[i].opened, true)) return;
    const std::string& echo = answer_.choices[i].echo;
    if (answer_.chat) {
      send(out, i, {{"role", "assistant"}, {"content", ""}}, nullptr, nullptr);
    } else if (!echo.empty()) {
      send(out, i, echo, nullptr, nullptr);
    }
  }

  Json text_part(const std::string& text) const {
    if (!answer_.chat) return text;
    Json delta = Json::object();
    delta["content"] = text;
    return delta;
  }

  void send(Output& out, std::size_t i, Json part, Json logprobs, Json reason) {
    Json choice = {{"index", i}};
    choice[answer_.chat ? "delta" : "text"] = std::move(part);
    choice["logprobs"] = std::move(logprobs);
    choice["finish_reason"] = std::move(reason);
    Json chunk = envelope(object(true));
    chunk["choices"] = Json::array({std::move(choice)});
    if (answer_.include_usage) chunk["usage"] = nullptr;
    append_sse(out.body, chunk);
  }

  std::vector<State> states_;
  bool begun_ = false;
  std::size_t n_finished_ = 0;
  int completion_tokens_ = 0;
};

}  // namespace

std::unique_ptr<Exchange> whole_answer(Answer answer) {
  return std::make_unique<WholeAnswer>(std::move(answer));
}

std::unique_ptr<Exchange> streamed_answer(Answer answer) {
  return std::make_unique<StreamedAnswer>(std::move(answer));
}

}  // namespace rbee

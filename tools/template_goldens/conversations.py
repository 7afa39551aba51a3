"""Conversations that every template is rendered with."""

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tell the weather of a \"place\" <now>.\nTwo lines & more.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city, e.g. Zürich 🏔"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "description": "Unit"},
                "days": {"type": ["integer", "null"], "description": "Days ahead", "default": 1},
                "where": {
                    "type": "object",
                    "properties": {"lat": {"type": "number"}, "tags": {"type": "array", "items": {"type": "string"}}},
                    "required": ["lat"],
                },
            },
            "required": ["city"],
        },
        "return": {"type": "string"},
    },
}
PLAIN_TOOL = {
    "type": "function",
    "function": {"name": "now", "description": "The time.", "parameters": {"type": "object", "properties": {}}},
}

SYSTEM = {"role": "system", "content": "  You are a careful helper.\nAnswer briefly. "}
USER = {"role": "user", "content": "Hello, who are you?"}
ANSWER = {"role": "assistant", "content": "I am a model. "}
AGAIN = {"role": "user", "content": " And what is 2 < 3 & 'x' \"y\"?\n\n"}


def call(name, arguments, identity="abcdef123"):
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


ARGUMENTS = {"city": "Zürich", "days": 2, "exact": True, "none": None, "ratio": 0.5, "list": [1, "a", {"k": "v"}]}
TOOL_TURN = [
    {"role": "user", "content": "Weather in Zürich?"},
    {"role": "assistant", "content": "", "tool_calls": [call("get_weather", ARGUMENTS)]},
    {"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123", "content": "{\"temp\": 7.5}"},
]
TWO_CALLS = [
    {"role": "user", "content": "Two cities"},
    {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [call("get_weather", {"city": "A"}), call("now", {}, "bcdefg234")],
    },
    {"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123", "content": "sunny"},
    {"role": "tool", "name": "now", "tool_call_id": "bcdefg234", "content": "noon"},
    {"role": "assistant", "content": "Sunny at noon."},
    {"role": "user", "content": "Thanks"},
]
PARTS = {
    "role": "user",
    "content": [{"type": "text", "text": "First part. "}, {"type": "image"}, {"type": "text", "text": "Second."}],
}


def turns(count):
    messages = [SYSTEM]
    for i in range(count):
        messages.append({"role": "user", "content": f"Question {i}"})
        messages.append({"role": "assistant", "content": f"Answer {i}"})
    return messages


CONVERSATIONS = {
    "one user turn": {"messages": [USER]},
    "one user turn, no generation prompt": {"messages": [USER], "add_generation_prompt": False},
    "system and user": {"messages": [SYSTEM, USER]},
    "several turns": {"messages": [SYSTEM, USER, ANSWER, AGAIN]},
    "several turns without system": {"messages": [USER, ANSWER, AGAIN, ANSWER, USER]},
    "ends with the assistant": {"messages": [SYSTEM, USER, ANSWER], "add_generation_prompt": False},
    "ends with the assistant, generation prompt": {"messages": [USER, ANSWER]},
    "no messages": {"messages": []},
    "system only": {"messages": [SYSTEM]},
    "empty content": {"messages": [{"role": "system", "content": ""}, {"role": "user", "content": ""}]},
    "null content": {"messages": [USER, {"role": "assistant", "content": None}, AGAIN]},
    "missing content": {"messages": [USER, {"role": "assistant"}, AGAIN]},
    "two user turns in a row": {"messages": [USER, AGAIN]},
    "assistant first": {"messages": [ANSWER, USER]},
    "unknown role": {"messages": [USER, {"role": "critic", "content": "Hm."}]},
    "developer role": {"messages": [{"role": "developer", "content": "Be terse."}, USER]},
    "system in the middle": {"messages": [USER, ANSWER, SYSTEM, AGAIN]},
    "unicode": {
        "messages": [{"role": "user", "content": "  ñandú 你好 🙂\u200d🙂 e\u0301 \u00a0ẞ\u3000 "}, ANSWER, USER],
    },
    "template syntax in content": {"messages": [{"role": "user", "content": "{{ 7*7 }} {% raw %} <|im_end|> <s>"}]},
    "tools offered": {"messages": [SYSTEM, USER], "tools": [WEATHER, PLAIN_TOOL]},
    "tools offered, no system": {"messages": [USER], "tools": [WEATHER]},
    "no tools in the list": {"messages": [SYSTEM, USER], "tools": []},
    "tool call and result": {"messages": [SYSTEM, *TOOL_TURN], "tools": [WEATHER]},
    "tool call and answer": {
        "messages": [SYSTEM, *TOOL_TURN, {"role": "assistant", "content": "7.5 degrees."}, USER],
        "tools": [WEATHER, PLAIN_TOOL],
    },
    "two tool calls at once": {"messages": TWO_CALLS, "tools": [WEATHER, PLAIN_TOOL]},
    "tool call without tools": {"messages": TOOL_TURN},
    "tool arguments as text": {
        "messages": [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [call("get_weather", "{\"city\": \"Bern\"}")]},
            {"role": "tool", "name": "get_weather", "tool_call_id": "abcdef123", "content": "rain"},
        ],
        "tools": [WEATHER],
    },
    "short tool call id": {
        "messages": [
            USER,
            {"role": "assistant", "content": "", "tool_calls": [call("now", {}, "1")]},
            {"role": "tool", "name": "now", "tool_call_id": "1", "content": "noon"},
        ],
        "tools": [PLAIN_TOOL],
    },
    "tool result is a mapping": {
        "messages": [*TOOL_TURN[:2], {"role": "tool", "name": "get_weather", "content": {"temp": 1}}],
        "tools": [WEATHER],
    },
    "reasoning content": {
        "messages": [
            SYSTEM,
            USER,
            {"role": "assistant", "content": "It is 4.", "reasoning_content": "2 + 2\n= 4", "thinking": "2 + 2\n= 4"},
            AGAIN,
        ],
    },
    "reasoning in the text": {
        "messages": [USER, {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nFour."}, AGAIN],
    },
    "reasoning before a tool call": {
        "messages": [
            USER,
            {"role": "assistant", "content": "", "reasoning_content": "Look.", "tool_calls": [call("now", {})]},
            {"role": "tool", "name": "now", "tool_call_id": "abcdef123", "content": "noon"},
        ],
        "tools": [PLAIN_TOOL],
    },
    "thinking on": {"messages": [SYSTEM, USER, ANSWER, AGAIN], "enable_thinking": True, "thinking": True},
    "thinking off": {"messages": [SYSTEM, USER, ANSWER, AGAIN], "enable_thinking": False, "thinking": False},
    "effort": {"messages": [SYSTEM, USER], "reasoning_effort": "high", "model_identity": "A tester."},
    "content in parts": {"messages": [SYSTEM, PARTS]},
    "all content in parts": {
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Sys."}]},
            PARTS,
            {"role": "assistant", "content": [{"type": "text", "text": "Yes."}]},
            PARTS,
        ],
    },
    "documents": {
        "messages": [SYSTEM, USER],
        "documents": [{"title": "A", "text": "Text of A", "doc_id": 1}, {"title": "B", "text": "Text of B", "doc_id": 2}],
    },
    "many turns": {"messages": turns(12), "add_generation_prompt": False},
}


def variables_of(conversation, bos="<s>", eos="</s>"):
    """The variables of a render, as transformers passes them."""
    variables = {"tools": None, "documents": None, "add_generation_prompt": True}
    variables.update({"bos_token": bos, "eos_token": eos, "unk_token": "<unk>", "pad_token": "<pad>"})
    variables.update(conversation)
    return variables

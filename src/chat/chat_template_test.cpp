// Golden tests against Python's jinja2 (tools/template_goldens), and the engine's own promises:
// limits, errors with lines, thread safety, speed.
#include "chat/chat_template.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "chat/fallback_templates.hpp"

namespace rbee {
namespace {

namespace fs = std::filesystem;

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Json read_json(const fs::path& path) { return Json::parse(read_text(path)); }

// The clock of the goldens: 2026-02-03 14:05:09.123456, a Tuesday.
TemplateTime golden_time() {
  TemplateTime time;
  time.local.tm_year = 126;
  time.local.tm_mon = 1;
  time.local.tm_mday = 3;
  time.local.tm_hour = 14;
  time.local.tm_min = 5;
  time.local.tm_sec = 9;
  time.local.tm_wday = 2;
  time.local.tm_yday = 33;
  time.microsecond = 123456;
  return time;
}

// {"text": ...}, {"raised": message} or {"error": why}, as in the golden files.
Json render(std::string_view source, const Json& variables) {
  try {
    return {{"text", ChatTemplate(source, {}, golden_time).render(variables)}};
  } catch (const TemplateError& error) {
    const std::string what = error.what();
    if (!error.raised_by_template()) return {{"error", what}};
    return {{"raised", what.substr(what.find(": ") + 2)}};
  }
}

// Errors must agree in being errors, not in their words.
void expect_same(const Json& golden, const Json& got, const std::string& name) {
  if (golden.contains("error")) {
    EXPECT_TRUE(got.contains("error")) << name << "\nwanted " << golden << "\ngot " << got;
  } else {
    EXPECT_EQ(got, golden) << name;
  }
}

std::string render_text(std::string_view source, const Json& variables = Json::object(),
                        const TemplateLimits& limits = {}) {
  return ChatTemplate(source, limits, golden_time).render(variables);
}

std::string error_of(std::string_view source, const TemplateLimits& limits = {}) {
  try {
    const std::string text = render_text(source, Json::object(), limits);
    return "no error, but " + std::to_string(text.size()) + " bytes";
  } catch (const TemplateError& error) {
    return error.what();
  }
}

const fs::path kData = fs::path(RBEE_TEST_DATA) / "chat";

TEST(ChatTemplateGolden, Language) {
  const Json goldens = read_json(kData / "language.json");
  EXPECT_GT(goldens.at("cases").size(), 900u);
  for (const Json& golden : goldens.at("cases")) {
    Json variables = goldens.at("variables");
    variables.update(golden.at("variables"));
    const auto source = golden.at("template").get<std::string>();
    Json wanted = golden;
    wanted.erase("template");
    wanted.erase("variables");
    expect_same(wanted, render(source, variables), source);
  }
}

// Renders every conversation with every template of a directory; returns the number of templates.
std::size_t check_templates(const fs::path& directory) {
  const Json conversations = read_json(kData / "conversations.json");
  std::size_t templates = 0;
  for (const auto& entry : fs::directory_iterator(directory)) {
    if (entry.path().extension() != ".jinja") continue;
    ++templates;
    const std::string source = read_text(entry.path());
    const Json golden = read_json(directory / (entry.path().stem().string() + ".golden.json"));
    EXPECT_EQ(golden.size(), conversations.size()) << entry.path();
    for (const auto& [name, wanted] : golden.items()) {
      expect_same(wanted, render(source, conversations.at(name)),
                  entry.path().filename().string() + ": " + name);
    }
  }
  return templates;
}

TEST(ChatTemplateGolden, RealTemplates) { EXPECT_GE(check_templates(kData / "templates"), 15u); }

// Templates that may not be shipped: a directory made by tools/template_goldens.
TEST(ChatTemplateGolden, ExtraTemplates) {
  const char* directory = std::getenv("RBEE_EXTRA_TEMPLATES");
  if (directory != nullptr) {
    EXPECT_GT(check_templates(directory), 0u);
  }
}

TEST(ChatTemplateErrors, NameTheLine) {
  EXPECT_EQ(error_of("a\nb\n{{ x.y.z }}"), "chat template, line 3: 'x' is undefined");
  EXPECT_EQ(error_of("\n{% if %}"),
            "chat template, line 2: Expected an expression, got 'end of statement block'");
  EXPECT_EQ(error_of("{{ 1 }}\n\n{{ raise_exception('no ' ~ 1) }}"), "chat template, line 3: no 1");
  EXPECT_EQ(error_of("{% include 'x' %}"),
            "chat template, line 1: the tag 'include' is not supported in chat templates");
  try {
    render_text("\n{{ raise_exception('stop') }}");
    FAIL();
  } catch (const TemplateError& error) {
    EXPECT_TRUE(error.raised_by_template());
    EXPECT_EQ(error.line(), 2u);
  }
  EXPECT_THROW(render_text("x", Json::array()), TemplateError);
}

// Where Python would go on with a type that templates have no use for.
TEST(ChatTemplateErrors, LeftOutOnPurpose) {
  EXPECT_NE(error_of("{{ (-8) ** 0.5 }}").find("complex"), std::string::npos);
  EXPECT_NE(error_of("{{ 'a'.encode() }}").find("bytes"), std::string::npos);
  EXPECT_NE(error_of("{{ [1] | random }}").find("reproducible"), std::string::npos);
  EXPECT_NE(error_of("{{ ['a' * 99] | pprint }}").find("pprint"), std::string::npos);
  EXPECT_NE(error_of("{% block x %}{% endblock %}").find("not supported"), std::string::npos);
}

TEST(ChatTemplateErrors, IntegersBeyond64Bits) {
  for (const char* source :
       {"{{ 9223372036854775808 }}", "{{ 9223372036854775807 + 1 }}", "{{ 2 ** 63 }}",
        "{{ 9223372036854775807 * 2 }}", "{{ (-9223372036854775807 - 1) // -1 }}",
        "{{ '9223372036854775808' | int }}", "{{ 1e30 | int }}",
        "{{ (-9223372036854775807 - 1) | abs }}", "{{ -(-9223372036854775807 - 1) }}"}) {
    EXPECT_NE(error_of(source).find("64 bits"), std::string::npos) << source << error_of(source);
  }
  EXPECT_THROW(render_text("{{ x }}", {{"x", 18446744073709551615u}}), TemplateError);
  EXPECT_EQ(render_text("x", {{"unused", 18446744073709551615u}}), "x");
}

TEST(ChatTemplateLimits, StopEndlessWork) {
  const TemplateLimits kSmall{1'000'000, 8u << 20, 200};
  for (const char* source : {
           "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
           "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
           "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x * 2 %}{% "
           "endfor %}",
           "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = n.x * 2 %}{% endfor "
           "%}",
           "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% "
           "endfor %}{{ n.x }}",
           "{% set n = namespace(x=[1]) %}{% for i in range(99) %}{% set n.x = [n.x, n.x] %}{% "
           "endfor %}{{ n.x == n.x + [] }}{{ n.x | tojson }}",
           "{{ 'x' * 999999999999 }}",
           "{{ [0] * 999999999999 }}",
           "{{ 'x' | center(99999999999) }}",
           "{{ '%99999999999d' % 1 }}",
           "{{ '{:99999999999}'.format(1) }}",
           "{{ 'a' | indent(99999999999) }}",
           "{{ [1] | batch(99999999999, 1) | list }}",
           "{{ [1] | slice(99999999999) | list }}",
           "{{ [[]] | tojson(indent=99999999999) }}",
           "{{ ('a' * 1000000).replace('', 'b' * 1000) }}",
           "{% set s = 'ab' * 500000 %}{% for i in range(99999) %}{% if s.find('ac') > 0 %}{% "
           "endif %}{% endfor %}",
           "{% set a = 'a' * 1000000 %}{% set b = 'a' * 500000 ~ 'b' %}{% for i in range(99999) "
           "%}{% set c = "
           "[a.find(b), a.rfind('b' ~ b), b in a, a.replace(b, ''), a.rsplit(b)] %}{% endfor %}",
           "{% for i in range(9999) %}{% set x = ('a' * 99999) | wordwrap(1) %}{% endfor %}",
           "{% set n = namespace() %}{% set n.self = n %}{{ n }}",
           "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
       }) {
    const auto start = std::chrono::steady_clock::now();
    const std::string error = error_of(source, kSmall);
    EXPECT_EQ(error.substr(0, 13), "chat template") << source << "\n" << error;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30)) << source;
  }
}

std::string repeated(const std::string& text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(ChatTemplateLimits, DeepNestingIsAnError) {
  constexpr std::size_t kMany = 100'000;
  for (const auto& [open, middle, close] :
       std::initializer_list<std::array<const char*, 3>>{{"(", "1", ")"},
                                                         {"[", "1", "]"},
                                                         {"{1:", "1", "}"},
                                                         {"x[", "1", "]"},
                                                         {"x(", "1", ")"},
                                                         {"not ", "1", ""},
                                                         {"-", "1", ""},
                                                         {"", "1", "|abs"},
                                                         {"", "x", ".x"},
                                                         {"", "x", "[1]"},
                                                         {"", "x", "()"},
                                                         {"1 if 1 else ", "1", ""}}) {
    const std::string source =
        "{{ " + repeated(open, kMany) + middle + repeated(close, kMany) + " }}";
    EXPECT_NE(error_of(source).find("nested deeper"), std::string::npos)
        << open << close << error_of(source);
  }
  for (const char* tag : {"{% if 1 %}", "{% for x in y %}", "{% macro m() %}", "{% set x %}",
                          "{% filter upper %}", "{% with %}", "{% generation %}"}) {
    EXPECT_NE(error_of(repeated(tag, kMany)).find("nested deeper"), std::string::npos) << tag;
  }
  Json deep = 1;
  for (int i = 0; i < 300; ++i) deep = Json::array({std::move(deep)});
  EXPECT_THROW(render_text("{{ x }}", {{"x", deep}}), TemplateError);
}

TEST(ChatTemplateLimits, LongChainsAreFine) {
  EXPECT_EQ(render_text("{{ 0" + repeated(" + 1", 5000) + " }}"), "5000");
  EXPECT_EQ(render_text("{{ ''" + repeated(" ~ 'a'", 5000) + " }}").size(), 5000u);
  EXPECT_EQ(render_text("{{ 0" + repeated(" or 0", 5000) + " }}"), "0");
  EXPECT_EQ(render_text("{% if 0 %}" + repeated("{% elif 0 %}", 5000) + "{% else %}x{% endif %}"),
            "x");
}

TEST(ChatTemplateLimits, NestedInputWithinTheLimitRenders) {
  Json deep = 1;
  for (int i = 0; i < 150; ++i) deep = Json::array({std::move(deep)});
  EXPECT_EQ(render_text("{{ x }}", {{"x", deep}}), repeated("[", 150) + "1" + repeated("]", 150));
  const char* walk =
      "{% macro m(v) %}{% if v is iterable %}{% for w in v %}{{ m(w) }}{% endfor %}{% else %}{{ v "
      "}}"
      "{% endif %}{% endmacro %}{{ m(x) }}";
  EXPECT_EQ(render_text(walk, {{"x", deep}}), "1");
}

TEST(ChatTemplateLimits, ParsingIsLinear) {
  constexpr std::size_t kBytes = 1'000'000;
  for (const char* piece :
       {"{", "{{", "{%", "{#", "{{ 1 }}", "{% set a = 1 %}", "{# c #}", " ", "\n", "{% raw ",
        "a{% -", "{{ '", "{{ a }}\n  {%- if b %}x{% endif %}",
        "{% if a %}{% set b = 1 %}{% endif %}", "{% for x in y %}{{ x }}{% endfor %}",
        "{% macro m() %}{{ x }}{% endmacro %}", "{{ a", "}}"}) {
    const std::string source = repeated(piece, kBytes / std::string_view(piece).size());
    const auto start = std::chrono::steady_clock::now();
    try {
      const ChatTemplate parsed(source);
    } catch (const TemplateError&) {
      // Many of them are mistakes; what counts is the time.
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(20)) << piece;
  }
  std::string names;
  for (int i = 0; names.size() < kBytes; ++i) {
    names +=
        "{% if v" + std::to_string(i) + " %}{% set w" + std::to_string(i) + " = 1 %}{% endif %}";
  }
  EXPECT_EQ(render_text(names), "");
}

TEST(ChatTemplate, RendersFromSeveralThreads) {
  const ChatTemplate shared(
      "{% for m in messages %}{{ m.content | upper }}{{ loop.index }},{% endfor %}");
  const Json variables = {{"messages", {{{"content", "a"}}, {{"content", "b"}}}}};
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 200; ++n) EXPECT_EQ(shared.render(variables), "A1,B2,");
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(ChatTemplate, ManyMessagesWithinTheDefaultLimits) {
  Json messages = Json::array();
  for (int i = 0; i < 4000; ++i) {
    messages.push_back({{"role", i % 2 == 0 ? "user" : "assistant"},
                        {"content", std::string(2000, 'x') + std::to_string(i)}});
  }
  const std::string text = render_text(named_template("chatml").source,
                                       {{"messages", messages}, {"add_generation_prompt", true}});
  EXPECT_GT(text.size(), 8'000'000u);
  EXPECT_EQ(text.substr(text.size() - 22), "<|im_start|>assistant\n");
  // Text that grows piece by piece is counted once, not at every step.
  const char* growing =
      "{% set ns = namespace(text='') %}{% for m in messages %}{% set ns.text = ns.text ~ m.role %}"
      "{% endfor %}{{ ns.text | length }}";
  EXPECT_EQ(render_text(growing, {{"messages", messages}}), "26000");
}

TEST(ChatTemplate, InvalidUtf8BecomesReplacementCharacters) {
  EXPECT_EQ(render_text("a\xFF{{ x }}", {{"x", "b\xC3"}}), "a\uFFFDb\uFFFD");
}

TEST(ChatTemplate, MovesAndOutlivesItsSource) {
  std::string source = "{{ 'a' ~ x }}";
  ChatTemplate first(source);
  source.assign(source.size(), '#');
  ChatTemplate second = std::move(first);
  EXPECT_EQ(second.render({{"x", 1}}), "a1");
  first = std::move(second);
  EXPECT_EQ(first.render({{"x", 2}}), "a2");
}

TEST(ChatTemplate, SystemClockIsUsedByDefault) {
  EXPECT_EQ(ChatTemplate("{{ strftime_now('%Y') | int > 2020 }}").render(Json::object()), "True");
}

}  // namespace
}  // namespace rbee

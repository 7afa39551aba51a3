// Python's spelling of byte strings: the escapes of its literals. RWKV vocabularies use it.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace rbee {

// The bytes of a literal such as 'a\n', "it's", b'\xff'; characters of one without the b are
// encoded as UTF-8. nullopt for anything else, for several strings side by side, and for \N{names}.
std::optional<std::string> parse_python_literal(std::string_view literal);

// The bytes of what stands between the quotes of a bytes literal.
std::optional<std::string> unescape_python_bytes(std::string_view body);

// Bytes as repr() spells them between the quotes: printable ASCII as it is, the rest escaped.
// Quotes are left alone.
std::string escape_python_bytes(std::string_view bytes);

}  // namespace rbee

// Scopes: which variable each name of a template means.
//
// jinja2 compiles a template to Python functions and decides there, before anything runs, where
// each variable lives. What a template prints can depend on these rules, so they are kept: a name
// that a scope sets is that scope's own from its start, first as a copy of the outer variable; a
// name that is only read is the nearest outer one, or else comes from the context. `if` makes no
// scope; loops, with, macros and blocks do. Macros, call blocks and recursive loops have frames of
// their own.
#pragma once
#include "chat/ast.hpp"

namespace rbee::jinja {

// Fills in the slots, loads and entries of the tree. Throws SyntaxFailure for unknown filters and
// tests outside conditions, and for setting `loop` inside a loop.
void resolve_scopes(Template& root);

}  // namespace rbee::jinja

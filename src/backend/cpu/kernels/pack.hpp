// Packing of matrices into panels (panel.hpp) and reading rows back. Needs no particular
// instruction set.
#pragma once
#include <cstddef>

#include "backend/cpu/kernels/panel.hpp"

namespace rbee::cpu {

// Number of panels of a matrix, and bytes of one panel (a multiple of 64).
int panel_count(int rows) noexcept;
std::size_t panel_bytes(PanelType type, int cols) noexcept;

// Bytes of a row of cols values in file layout (GGUF blocks, or plain little-endian numbers).
std::size_t file_row_bytes(PanelType type, int cols) noexcept;

// Packs panels [panel_begin, panel_end) of a matrix [rows, cols], row-major in file layout and of
// any alignment, into dst, the start of the whole packed matrix. Disjoint ranges may be packed by
// several threads.
void pack_panels(PanelType type, const std::byte* file_rows, int rows, int cols, int panel_begin,
                 int panel_end, std::byte* dst) noexcept;

// Panels [begin, end) of a matrix that is in the file, packed into scratch, which is aligned to 64.
PanelMatrix packed_part(const PanelMatrix& matrix, int begin, int end, std::byte* scratch) noexcept;

// The same matrix from a panel on.
PanelMatrix from_panel(const PanelMatrix& matrix, int panel) noexcept;

// out[0 .. cols) = the values of one row, as the type defines them in f32 arithmetic.
void unpack_row(const PanelMatrix& matrix, int row, float* out) noexcept;

}  // namespace rbee::cpu

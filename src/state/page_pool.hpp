// PagePool: which pages of the key/value cache are free. PageTable: the pages of one sequence.
//
// Pages change hands only inside PageTable, which owns what it holds and gives it back when it
// dies, so a page cannot be freed twice or forgotten. All operations take constant time a page.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace rbee {

// Hands out ids 0 .. n_pages-1. Attention reads faster from neighbouring pages, so free pages are
// kept in extents of kExtentPages neighbours: a table that grows takes the page after its last one,
// and starts in an untouched extent otherwise, so that tables growing side by side stay apart
// until memory is short. Extents used last are reused first: the operating system has already given
// memory for them.
class PagePool {
 public:
  static constexpr int kExtentPages = 16;

  explicit PagePool(int n_pages);
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  int n_pages() const noexcept { return n_pages_; }
  int n_free() const noexcept { return n_free_; }

 private:
  friend class PageTable;

  struct Extent {
    std::uint32_t free = 0;  // bit i: page i of the extent is free
    std::uint32_t all = 0;   // the pages it has (the last extent may have fewer)
    int place = 0;           // index in the list that holds it
  };
  // Extents all of whose pages are free; extents with some; taken-up ones are in no list.
  using List = std::vector<int>;

  // A free page, the one after previous if possible (-1: none). Precondition: n_free() > 0.
  int take(int previous);
  void give_back(int page) noexcept;

  bool is_free(int page) const noexcept;
  int take_from(int extent, int bit);
  List* list_of(const Extent& extent) noexcept;
  void move_between(int extent, List* from, List* to) noexcept;

  int n_pages_;
  int n_free_;
  std::vector<Extent> extents_;
  List whole_;
  List partial_;
};

// Move-only. The pool must outlive it. A default-made one is empty and cannot grow.
class PageTable {
 public:
  PageTable() = default;
  explicit PageTable(PagePool& pool) : pool_(&pool) {}
  ~PageTable() { clear(); }
  PageTable(PageTable&& other) noexcept;
  PageTable& operator=(PageTable&& other) noexcept;
  PageTable(const PageTable&) = delete;
  PageTable& operator=(const PageTable&) = delete;

  // Grows to at least n pages. False, and nothing changed, when the pool has too few.
  bool grow(int n);
  void clear() noexcept;

  std::span<const std::int32_t> ids() const noexcept { return ids_; }
  int size() const noexcept { return static_cast<int>(ids_.size()); }

 private:
  PagePool* pool_ = nullptr;
  std::vector<std::int32_t> ids_;
};

}  // namespace rbee

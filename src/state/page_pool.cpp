#include "state/page_pool.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace rbee {

PagePool::PagePool(int n_pages) : n_pages_(std::max(n_pages, 0)), n_free_(n_pages_) {
  const int n_extents = (n_pages_ + kExtentPages - 1) / kExtentPages;
  extents_.resize(n_extents);
  // Neither list ever grows past this, which keeps give_back free of allocations.
  whole_.reserve(n_extents);
  partial_.reserve(n_extents);
  for (int e = n_extents - 1; e >= 0; --e) {  // so that extent 0 is handed out first
    const int pages = std::min(kExtentPages, n_pages_ - e * kExtentPages);
    const std::uint32_t all = (1u << pages) - 1u;
    extents_[e] = {.free = all, .all = all, .place = static_cast<int>(whole_.size())};
    whole_.push_back(e);
  }
}

bool PagePool::is_free(int page) const noexcept {
  return page < n_pages_ && ((extents_[page / kExtentPages].free >> (page % kExtentPages)) & 1u);
}

int PagePool::take(int previous) {
  assert(n_free_ > 0);
  if (previous >= 0 && is_free(previous + 1)) {
    return take_from((previous + 1) / kExtentPages, (previous + 1) % kExtentPages);
  }
  const int extent = whole_.empty() ? partial_.back() : whole_.back();
  return take_from(extent, std::countr_zero(extents_[extent].free));
}

int PagePool::take_from(int extent, int bit) {
  Extent& e = extents_[extent];
  List* const before = list_of(e);
  e.free &= ~(1u << bit);
  move_between(extent, before, list_of(e));
  --n_free_;
  return extent * kExtentPages + bit;
}

void PagePool::give_back(int page) noexcept {
  assert(page >= 0 && page < n_pages_ && !is_free(page));
  Extent& e = extents_[page / kExtentPages];
  List* const before = list_of(e);
  e.free |= 1u << (page % kExtentPages);
  move_between(page / kExtentPages, before, list_of(e));
  ++n_free_;
}

PagePool::List* PagePool::list_of(const Extent& extent) noexcept {
  if (extent.free == 0) return nullptr;
  return extent.free == extent.all ? &whole_ : &partial_;
}

void PagePool::move_between(int extent, List* from, List* to) noexcept {
  if (from == to) return;
  if (from != nullptr) {
    const int place = extents_[extent].place;
    (*from)[place] = from->back();
    extents_[from->back()].place = place;
    from->pop_back();
  }
  if (to != nullptr) {
    extents_[extent].place = static_cast<int>(to->size());
    to->push_back(extent);
  }
}

PageTable::PageTable(PageTable&& other) noexcept
    : pool_(other.pool_), ids_(std::exchange(other.ids_, {})) {}

PageTable& PageTable::operator=(PageTable&& other) noexcept {
  if (this != &other) {
    clear();
    pool_ = other.pool_;
    ids_ = std::exchange(other.ids_, {});
  }
  return *this;
}

bool PageTable::grow(int n) {
  if (n <= size()) return true;
  if (pool_ == nullptr || n - size() > pool_->n_free()) return false;
  ids_.reserve(std::max<std::size_t>(n, ids_.size() + ids_.size() / 2));
  while (size() < n) ids_.push_back(pool_->take(ids_.empty() ? -1 : ids_.back()));
  return true;
}

void PageTable::clear() noexcept {
  // Backwards, so that the extents are reused in the order they were used in.
  while (!ids_.empty()) {
    pool_->give_back(ids_.back());
    ids_.pop_back();
  }
}

}  // namespace rbee

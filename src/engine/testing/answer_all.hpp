// answer_all: what an engine makes of some requests at once.
#pragma once
#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "engine/engine.hpp"
#include "engine/testing/collect.hpp"

namespace rbee::testing {

struct Outcome {
  std::vector<Answer> answers;
  EngineStats stats;
};

// Submits all, reads them to their ends, and expects that all state was given back.
inline Outcome answer_all(Engine& engine, std::vector<GenerationRequest> requests) {
  std::vector<std::shared_ptr<TokenStream>> streams;
  for (auto& request : requests) streams.push_back(engine.submit(std::move(request)).value());
  Outcome outcome;
  for (const auto& stream : streams) outcome.answers.push_back(collect(*stream));
  outcome.stats = engine.stats();
  EXPECT_EQ(outcome.stats.pages_free, outcome.stats.pages_total);
  EXPECT_EQ(outcome.stats.slots_free, outcome.stats.slots_total);
  return outcome;
}

}  // namespace rbee::testing

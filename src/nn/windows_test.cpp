#include "nn/windows.hpp"

#include <gmock/gmock.h>

#include "base/load_error.hpp"
#include "checkpoint/testing/gguf_image.hpp"
#include "checkpoint/testing/temp_folder.hpp"

namespace rbee::nn {
namespace {

using ::testing::ElementsAre;
using testing::GgufImage;
using testing::TempFolder;

std::unique_ptr<Checkpoint> open(const TempFolder& folder, const GgufImage& image) {
  return Checkpoint::open(folder.write("model.gguf", image.bytes()));
}

GgufImage image() {
  GgufImage image;
  image.set("general.architecture", "x");
  return image;
}

constexpr auto kEveryOther = [](int layer) { return layer % 2 == 0; };

TEST(Windows, WidthInGguf) {
  const TempFolder folder;
  const char* key = "x.attention.sliding_window";
  EXPECT_EQ(read_window(*open(folder, image()), 9), 9);
  EXPECT_EQ(read_window(*open(folder, image().set(key, std::uint32_t{7})), 9), 7);
  EXPECT_EQ(read_window(*open(folder, image().set(key, std::uint32_t{0})), 9), 0);
  EXPECT_THROW(read_window(*open(folder, image().set(key, std::int32_t{-1}))), LoadError);
}

TEST(Windows, LayersInGguf) {
  const TempFolder folder;
  const char* key = "x.attention.sliding_window_pattern";
  EXPECT_THAT(layer_windows(*open(folder, image()), 4, 7, kEveryOther), ElementsAre(7, 0, 7, 0));
  EXPECT_THAT(layer_windows(*open(folder, image().set(key, std::uint32_t{3})), 4, 7, kEveryOther),
              ElementsAre(7, 7, 0, 7));
  const auto listed = open(folder, image().set_array(key, std::vector<std::uint32_t>{0, 1, 1, 0}));
  EXPECT_THAT(layer_windows(*listed, 4, 7, kEveryOther), ElementsAre(0, 7, 7, 0));
  EXPECT_THROW(layer_windows(*listed, 5, 7, kEveryOther), LoadError);
  EXPECT_THROW(layer_windows(*open(folder, image().set(key, std::uint32_t{0})), 4, 7, kEveryOther),
               LoadError);
}

}  // namespace
}  // namespace rbee::nn

// For std::visit: one lambda an alternative, and the compiler says which is missing.
#pragma once

namespace imagebuild {

template <class... Functions>
struct Overloaded : Functions... {
  using Functions::operator()...;
};
template <class... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace imagebuild

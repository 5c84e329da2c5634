// All of Morsel but the components: lazy arrays, their sources and files, operations and evaluation.
#pragma once

#include <morsel/api/cf_time.hpp>
#include <morsel/api/compute.hpp>
#include <morsel/api/coordinates.hpp>
#include <morsel/api/create.hpp>
#include <morsel/api/elementwise.hpp>
#include <morsel/api/explain.hpp>
#include <morsel/api/manipulation.hpp>
#include <morsel/api/map.hpp>
#include <morsel/api/mask_and_scale.hpp>
#include <morsel/api/open.hpp>
#include <morsel/api/operators.hpp>
#include <morsel/api/partial.hpp>
#include <morsel/api/records.hpp>
#include <morsel/api/reduction.hpp>
#include <morsel/api/save.hpp>
#include <morsel/api/stream.hpp>
#include <morsel/api/tree.hpp>
#include <morsel/base/warning.hpp>
#include <morsel/fwd.hpp>

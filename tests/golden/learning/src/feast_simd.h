/* FEAST 8x6, 6 features of 3x3: packed arithmetic on two 16-bit lanes.
 * Generated; change the model or the templates instead. Model e7132194ccc1e3c3, build e5cfc6fc2cbc2d48. */

#ifndef FEAST_SIMD_H
#define FEAST_SIMD_H

#include <stdint.h>
#include <string.h>

/* Cores with the DSP extension do these in one instruction each (ACLE intrinsics); elsewhere plain C gives
 * the same bits, so that the code built on them can be tested anywhere. Sums never overflow (docs/numerics.md
 * section 9). Lane 0 is the one at the lower address; lanes are little-endian in a word. */
#if defined(__ARM_FEATURE_SIMD32) && __ARM_FEATURE_SIMD32
#include <arm_acle.h>
#define FEAST_HAS_DSP 1
#else
#define FEAST_HAS_DSP 0
#endif

/* A few bytes, copied in place: with -ffreestanding GCC would call memcpy for them. */
#if defined(__GNUC__)
#define FEAST_COPY __builtin_memcpy
#define FEAST_ALIGNED(at) __builtin_assume_aligned((at), 8)
#define FEAST_NOINLINE __attribute__((noinline)) /* rare work that would take registers from frequent work */
#else
#define FEAST_COPY memcpy
#define FEAST_ALIGNED(at) (at)
#define FEAST_NOINLINE
#endif

typedef uint32_t feast_pair_t; /* two int16_t */

/* Two neighbouring pairs, which one instruction loads. */
typedef struct {
    feast_pair_t first;
    feast_pair_t second;
} feast_two_t;

/* Pairs may lie at any even address, twos at multiples of 8. On a DSP core the loads are volatile: GCC would
 * otherwise split a load of two, and hoist loads until sums spill to the stack (a fifth more instructions). */
#if FEAST_HAS_DSP
typedef struct __attribute__((packed, may_alias)) {
    feast_pair_t pair;
} feast_pair_at_t;
typedef uint64_t __attribute__((may_alias)) feast_two_at_t;
#endif

static inline feast_pair_t feast_load_pair(const int16_t *at)
{
#if FEAST_HAS_DSP
    return ((const volatile feast_pair_at_t *)(const void *)at)->pair;
#else
    feast_pair_t pair;
    /* cppcheck-suppress misra-c2012-21.15 ; a pair is two neighbouring cells */
    (void)FEAST_COPY(&pair, at, sizeof pair);
    return pair;
#endif
}

/* An octet widened with its sign to 16 bits. */
static inline uint32_t feast_widen_octet(uint32_t octet)
{
    const int32_t value = (int8_t)octet;
    return (uint32_t)value & 0xFFFFu;
}

/* The word of narrow weights as two pairs: octets 0 and 2, octets 1 and 3, each widened with its sign. */
static inline feast_two_t feast_widen(uint32_t word)
{
#if FEAST_HAS_DSP
    const feast_two_t two = {
        (feast_pair_t)__sxtb16((int8x4_t)word),
        (feast_pair_t)__sxtb16((int8x4_t)((word >> 8) | (word << 24))),
    };
#else
    const feast_two_t two = {
        feast_widen_octet(word & 0xFFu) | (feast_widen_octet((word >> 16) & 0xFFu) << 16),
        feast_widen_octet((word >> 8) & 0xFFu) | (feast_widen_octet(word >> 24) << 16),
    };
#endif
    return two;
}

static inline feast_pair_t feast_load_weights(const feast_pair_t *at)
{
#if defined(__arm__)
    return *(const volatile feast_pair_t *)at;
#else
    return *at;
#endif
}

static inline feast_two_t feast_load_two(const void *at)
{
#if FEAST_HAS_DSP
    const uint64_t both = *(const volatile feast_two_at_t *)at;
#else
    uint64_t both;
    (void)FEAST_COPY(&both, FEAST_ALIGNED(at), sizeof both);
#endif
    const feast_two_t two = { (feast_pair_t)both, (feast_pair_t)(both >> 32) };
    return two;
}

static inline void feast_store_two(void *at, feast_two_t two)
{
    const uint64_t both = two.first | ((uint64_t)two.second << 32);
#if FEAST_HAS_DSP
    *(volatile feast_two_at_t *)at = both;
#else
    (void)FEAST_COPY(FEAST_ALIGNED(at), &both, sizeof both);
#endif
}

static inline int32_t feast_lane0(feast_pair_t pair)
{
    return (int16_t)pair;
}

static inline int32_t feast_lane1(feast_pair_t pair)
{
    return (int16_t)(pair >> 16);
}

/* sum + a0 * b0 + a1 * b1 */
static inline int32_t feast_mac2(feast_pair_t a, feast_pair_t b, int32_t sum)
{
#if FEAST_HAS_DSP
    return __smlad((int16x2_t)a, (int16x2_t)b, sum);
#else
    return sum + feast_lane0(a) * feast_lane0(b) + feast_lane1(a) * feast_lane1(b);
#endif
}

/* sum + factor * a0, factor within 16 bits */
static inline int32_t feast_mac_lane0(int32_t factor, feast_pair_t a, int32_t sum)
{
#if FEAST_HAS_DSP
    return __smlabb(factor, (int32_t)a, sum);
#else
    return sum + factor * feast_lane0(a);
#endif
}

/* sum + factor * a1, factor within 16 bits */
static inline int32_t feast_mac_lane1(int32_t factor, feast_pair_t a, int32_t sum)
{
#if FEAST_HAS_DSP
    return __smlabt(factor, (int32_t)a, sum);
#else
    return sum + factor * feast_lane1(a);
#endif
}

/* Lane by lane a + b, saturating to 16 bits. */
static inline feast_pair_t feast_add_saturating(feast_pair_t a, feast_pair_t b)
{
#if FEAST_HAS_DSP
    return (feast_pair_t)__qadd16((int16x2_t)a, (int16x2_t)b);
#else
    const int32_t lane0 = feast_lane0(a) + feast_lane0(b);
    const int32_t lane1 = feast_lane1(a) + feast_lane1(b);
    const int32_t low = lane0 > INT16_MAX ? INT16_MAX : lane0 < INT16_MIN ? INT16_MIN : lane0;
    const int32_t high = lane1 > INT16_MAX ? INT16_MAX : lane1 < INT16_MIN ? INT16_MIN : lane1;
    return ((uint32_t)low & 0xFFFFu) | ((uint32_t)high << 16);
#endif
}

#endif

#ifndef BASE_COMPILER_H_
#define BASE_COMPILER_H_

/*
 * What the compiler can check for us.
 *
 * Floor: 0 (base).
 */

/* Result must not be ignored: put on every fallible function. */
#define ATTR_MUSTCHECK __attribute__((warn_unused_result))

/* printf-like: fmt is argument number a, first vararg is number b. */
#define ATTR_PRINTF(a, b) __attribute__((format(printf, a, b)))

/* Does not return. */
#define ATTR_NORETURN __attribute__((noreturn))

/* For hot paths where the compiler cannot know. */
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/*
 * Whether the build watches itself: a sanitizer or coverage, whose run-time
 * parts reserve terabytes, write files and trace processes.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||           \
    defined(MOONPOST_COVERAGE)
#define INSTRUMENTED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||     \
    __has_feature(memory_sanitizer)
#define INSTRUMENTED 1
#endif
#endif
#ifndef INSTRUMENTED
#define INSTRUMENTED 0
#endif

#define NELEMS(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of type ${type} whose member ${member} is at ${ptr}. */
#define CONTAINER_OF(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif /* !BASE_COMPILER_H_ */

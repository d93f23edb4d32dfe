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

#define NELEMS(a) (sizeof(a) / sizeof((a)[0]))

/* The struct of type ${type} whose member ${member} is at ${ptr}. */
#define CONTAINER_OF(ptr, type, member)                                        \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif /* !BASE_COMPILER_H_ */

// Loads something at most once, as long as loading it succeeds.

/** One load answers all who ask; a failure is not kept: whoever asks next tries again. */
export function memoised<Value>(load: () => Promise<Value>): () => Promise<Value> {
  let loading: Promise<Value> | undefined
  return () => {
    loading ??= load().catch((error) => {
      loading = undefined
      throw error
    })
    return loading
  }
}

// What every explored state is about: one execution, and the key that signs waitpoint tokens.
export const executionId = '0'.repeat(26)

export const kid = 'k1'
export const secret = 's'.repeat(43)

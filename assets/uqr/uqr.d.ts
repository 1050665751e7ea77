/** What the page uses of it. */
export function encode(data: string, options?: { border?: number }): { size: number; data: boolean[][] };

// The package ships no types; these are the two calls we make.
declare module 'fs-native-extensions' {
  const locks: {
    tryLock(fd: number): boolean;
    unlock(fd: number): void;
  };
  export = locks;
}
